"""Compute nodes of a cluster, for interactive work: `lab node`, and the alias that leads there."""
