"""The lists of packages and their lock: read, changed, locked, and sent to the machine.

| module | what it has |
|---|---|
| `requirements` | what a person types, as a requirement |
| `pyproject` | the list of uv and pip |
| `environment_yml` | the list of conda |
| `conda_names` | what a package is called on conda-forge |
| `lock` | requirements.lock: names and versions, made by `uv pip compile` |
| `conda_locks` | conda's own lock, which a setup on the machine has written |
| `modules` | which package has a module that could not be imported |
| `texts` | all of them together, written all or none |
| `sources` | which list counts in a repository that has its own |
| `converting` | such a list in the form that the machine takes |
| `poetry` | poetry's tables as requirements |
| `local` | the lists on this computer, and their hash |
| `sending` | the lists on the machine, in `.lab/lists/<hash>` |
"""
