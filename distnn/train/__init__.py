"""Training: steps, the loop, checkpoints, and what keeps a run from hanging or getting lost."""
