"""What a launch really is: its ranks, cores, libraries and speeds, and what is wrong with them."""
