"""`lab init`: a repository that exists becomes a project, and is one no longer after `--remove`.

| module | what it has |
|---|---|
| `looking` | what the repository says of itself |
| `proposing` | the files that are proposed, as texts |
| `asking` | what it cannot say |
| `init` | writing and taking back |
"""
