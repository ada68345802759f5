"""The folder `data/`, both ways: `lab data push`, `pull` and `status`."""
