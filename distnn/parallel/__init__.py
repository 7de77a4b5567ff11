"""Ranks: who takes part, and how their gradients become one. The only package that imports mpi4py."""
