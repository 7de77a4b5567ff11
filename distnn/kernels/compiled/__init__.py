"""Kernels in one pass over memory, compiled by numba: the same bits as the modules of the same names above, faster.

Each is compiled once and kept on disk beside its file, or, where that can't be written to, in the user's cache folder.
"""
