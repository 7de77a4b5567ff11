"""The engine: a step, what it sums, evaluation, and the states that are carried from step to step."""
