"""Sweeps: one lab or program, run once for each of many sets of parameters.

The laptop expands what is asked for into a list of sets (expanding.py). The sets are on the machine
in `.lab/sweeps/<id>/`, and workers, which are ordinary detached jobs, take one after the other
(far/login/sweep_worker.py). So a sweep needs neither the laptop nor a daemon.
"""
