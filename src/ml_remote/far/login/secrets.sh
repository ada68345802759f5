# shellcheck shell=sh disable=SC2034
# Secrets are files of their own: those of the project in .lab/secrets, those of one run in its job's
# folder. Their values are in no argument of a program.
# is_name WORD: whether a variable can have this name
is_name() {
    case $1 in
    '' | [!A-Za-z_]* | *[!A-Za-z0-9_]*) return 1 ;;
    esac
}

# take_secrets: put them into the environment; $secrets is set when there are any
# shellcheck disable=SC2034
take_secrets() {
    secrets=''
    for secret in .lab/secrets/* "${LAB_JOB_FOLDER:-.lab/}secrets"/*; do
        if is_name "${secret##*/}" && [ -f "$secret" ]; then
            value=$(cat "$secret" && echo .) && export "${secret##*/}=${value%.}" && secrets=yes
        fi
    done
    unset secret value
}
