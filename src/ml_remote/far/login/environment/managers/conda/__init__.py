"""conda, mamba and micromamba.

manager.py       makes and changes environments with one of the three clients
finding.py       where people have them
requirements.py  environment.yml, and the lock
comparing.py     what the list asks for, against what is there
packages.py      what is in an environment, by its conda-meta; packages that are damaged
torch_build.py   torch for a card or for the CPU
errors.py        what the clients print when they fail, in words

Each command here was tried with conda 25.3.1 and 26.7.1 and with mamba 2.0.5: they differ in much
of `env create`, and not in `create --prefix /P --override-channels --channel C SPEC...`.
"""

from .manager import Conda, Mamba, Micromamba

__all__ = ["Conda", "Mamba", "Micromamba"]
