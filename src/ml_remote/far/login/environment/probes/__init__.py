"""Programs that the environment's own Python runs; each prints a line of JSON."""
