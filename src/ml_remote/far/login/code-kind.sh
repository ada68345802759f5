# needs: folder
# shellcheck shell=sh
# Says if a run of the project, by the far half $1, has a `checkout` of its own or uses the `folder`.
.venv/bin/python -s -E "$1" checkout kind
