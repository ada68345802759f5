# shellcheck shell=sh
# environment_state: the state of the environment in the project's folder, where one is, and the hash
# of the lists that it was made from (or -)
environment_state() {
    environment=missing
    [ ! -x .venv/bin/python ] || environment=complete
    [ ! -e .lab/environment.incomplete ] || environment=incomplete
    lists=$(sed -n '/.*"lists": *"\([0-9a-f]*\)".*/{s//\1/p;q;}' .venv/lab-environment.json 2>/dev/null)
    printf '%s %s\n' "$environment" "${lists:--}"
}
