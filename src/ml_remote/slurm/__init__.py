"""Labs as jobs of a Slurm cluster whose login node the alias leads to: `lab run --slurm`."""
