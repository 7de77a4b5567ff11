"""Tests of `distnn.parallel`. Those in ranks/ run on several ranks, launched by test_under_mpiexec.py."""
