"""What keeps a job from hanging or dying in silence."""
