"""`lab init`: turns an existing repository into a project; `--remove` undoes it.

| module | what it has |
|---|---|
| `repository` | what the repository says of itself |
| `proposed_files` | the files that are proposed, as texts |
| `questions` | what it cannot say |
| `init` | writing and taking back |
"""
