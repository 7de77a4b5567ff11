"""Ranks: who takes part, and how their gradients become one. The only room that imports mpi4py."""
