"""Recurrence: one op, which runs a cell over a whole sequence, and the cells."""
