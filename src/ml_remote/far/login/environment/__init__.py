"""The project's environment: found, made, changed, tested, replaced. Python 3.6, no packages.

    python3 .lab/far/<hash> environment [--check]

`scripts/setup-environment.sh` hands over to it with any Python that the machine has. The parts, in
the order in which `main.set_up` uses them:

| module | what it has |
|---|---|
| `settings` | `Settings`: what lab.toml and lab.local.toml say |
| `lists` | `Lists`: the lists and the lock that count, and their hash |
| `environments` | `Environments`: their folders, the link `.venv`, exchange, removal of old ones |
| `record` | `Record`: what is remembered in each environment |
| `state` | `State`: the environment that is in use, and why it is not up to date |
| `obstacles` | what would make a setup fail, recognised before anything is touched |
| `managers` | the table of managers; `base.Manager` is their interface |
| `carried` | wheels that the laptop brought, for a machine without internet |
| `choosing` | which manager makes or changes the environment |
| `making` | a new environment beside the old one, or a change in place |
| `inside` | what the environment's own Python answers: installed packages, the device |
| `failures` | `Failure`: a sentence and hints; `ManagerError`: what a manager printed |
| `output`, `commands`, `processes`, `lock` | printing, running, who uses a folder, one at a time |

An environment is at `.lab/envs/<id>` and is never moved. `.venv` is a link to it, exchanged by one
`os.replace`. In a dev container (`.venv` is a mount) and on Windows `.venv` is the environment
itself, and is changed in place.
"""
