"""What runs have left about themselves in `outputs/`: their records and metrics."""
