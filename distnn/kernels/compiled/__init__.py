"""Kernels in one pass over memory, compiled by numba: the bits of the references in `distnn.kernels`, in less time.

Each is compiled once and kept on disk beside its file, or, where that can't be written to, in the user's cache folder.
"""
