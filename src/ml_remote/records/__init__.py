"""The records and metrics of runs in `outputs/`."""
