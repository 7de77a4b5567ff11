"""Recurrence: one op runs a cell over a whole sequence; a file for each cell."""
