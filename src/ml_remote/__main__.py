"""`python -m ml_remote`: the `lab` command, for the project of the current folder."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
