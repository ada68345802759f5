"""Commits and results between here and the machine: `lab push`, `lab pull`."""
