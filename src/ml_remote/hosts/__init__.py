"""Runs on several machines at a time."""
