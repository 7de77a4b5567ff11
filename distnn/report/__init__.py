"""What a run shows: the console, and plots of runs side by side."""
