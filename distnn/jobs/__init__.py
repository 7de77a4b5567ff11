"""Jobs under Slurm: scripts that repeat a training on a site's nodes until it is finished, and their submission."""
