"""What trained models are used for: evaluation, prediction, and text that they write."""
