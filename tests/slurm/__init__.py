"""Jobs in a real Slurm: a cluster of two nodes on this host, which the tests start and end."""
