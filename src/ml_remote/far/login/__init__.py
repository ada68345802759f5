"""POSIX sh and standard-library Python 3.6 for the machine, needed before it has an environment."""
