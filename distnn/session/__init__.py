"""A training from its settings to its end: what it is made of, its loop, its folder and its records."""
