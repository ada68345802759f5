"""`lab init`: a repository that exists becomes a project, and is one no longer after `--remove`.

| module | what it has |
|---|---|
| `repository` | what the repository says of itself |
| `proposed_files` | the files that are proposed, as texts |
| `questions` | what it cannot say |
| `init` | writing and taking back |
"""
