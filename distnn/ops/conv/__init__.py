"""Convolutions: one op, the ways of computing it, and the choice between them."""
