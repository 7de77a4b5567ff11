"""Convolutions: one op, and the ways in which it is computed."""
