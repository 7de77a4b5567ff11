"""The inner loops behind ops, over plain arrays."""
