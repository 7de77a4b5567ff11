"""What a run shows: the console, and later plots, reports and traces."""
