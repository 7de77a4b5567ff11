"""Using trained models: evaluation, prediction, and sampling text."""
