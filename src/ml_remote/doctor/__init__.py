"""The checks of `lab doctor`, and their report."""
