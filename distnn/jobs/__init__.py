"""Jobs under Slurm: the script that trains on a site's nodes until the run is finished, and its way to sbatch."""
