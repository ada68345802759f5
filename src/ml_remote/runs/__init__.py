"""Headless runs of labs: `lab run`, `runs`, `attach`, `stop`."""
