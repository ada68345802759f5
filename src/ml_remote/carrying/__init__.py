"""`lab setup --carry`: an environment for a machine without internet, from wheels of the laptop.

| module | what it has |
|---|---|
| `target` | which wheels the machine's Python takes, asked there |
| `wheels` | which wheels the project needs on it, by uv, with their sizes |
| `build_needs` | a program: what the project's build backend needs besides |
| `fetching` | bringing them to this computer, by pip |
| `python` | a Python for a machine whose own is too old, by uv |
| `sending` | bringing them to the machine, where an interrupted transfer left off |
| `carry` | all of it, in order |
"""
