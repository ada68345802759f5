"""`python -m ml_remote`: the `lab` command, for the project that one is in."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
