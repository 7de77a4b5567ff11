"""Examination of a launch: its ranks, cores, libraries and speeds, and advice on what is wrong."""
