# shellcheck shell=sh disable=SC2016,SC2034
# The person's own login shell in the project's folder, $1, or one command there; the environment's
# programs come first on PATH. $2 and $3 are the name and e-mail of the laptop's git, the rest is the
# command. Each argument is written as `printf %b` reads it. It is read from the far half as a file,
# since its input is the person's.
here=${0%/*}
count=$#
while [ "$count" -gt 0 ]; do
    word=$(printf '%b.' "$1")
    shift
    set -- "$@" "${word%.}"
    count=$((count - 1))
done
cd -- "$1" || exit
git_name=$2 git_email=$3
shift 3
# shellcheck source=src/ml_remote/far/login/identity.sh
. "$here/identity.sh"
# shellcheck source=src/ml_remote/far/login/secrets.sh
. "$here/secrets.sh"
take_secrets
# shellcheck source=src/ml_remote/far/login/caches.sh
. "$here/caches.sh"
lab_bin=''
if [ -x .venv/bin/python ] && [ ! -e .lab/environment.incomplete ]; then
    lab_bin=$(CDPATH='' cd -P -- .venv/bin && pwd -P)
    PATH=$lab_bin:$PATH
    export PATH
    # shellcheck source=src/ml_remote/far/login/clean.sh
    . "$here/clean.sh"
else
    echo "The environment is not complete yet: these are the machine's own programs." >&2
fi
trap : INT # what is started gets Ctrl-C itself
if [ $# -gt 0 ]; then
    "$@"
    exit
fi

# Start-up files may put other folders first on PATH, so the shell puts the environment first again
# after them. Each has its own way to run something then.
lab_prompt="(${PWD##*/}) "
export lab_bin lab_prompt
shell=${SHELL:-/bin/sh}
case ${shell##*/} in
bash)
    "$shell" --rcfile "$here/shell-bash.sh" -i
    ;;
zsh)
    files=$(mktemp -d) || exit
    trap 'rm -rf "$files"' EXIT
    lab_zsh=$here/shell-zsh.sh lab_zdotdir=${ZDOTDIR-} ZDOTDIR=$files
    export lab_zsh lab_zdotdir ZDOTDIR
    for name in .zshenv .zprofile .zshrc .zlogin; do
        printf 'lab_file=%s\n. "$lab_zsh"\n' "$name" >"$files/$name"
    done
    "$shell" -l
    ;;
fish)
    "$shell" --login --init-command '
        test -z "$lab_bin"; or set -gx PATH $lab_bin $PATH
        functions --copy fish_prompt lab_prompt_before
        function fish_prompt; echo -n $lab_prompt; lab_prompt_before; end
        set -e lab_bin'
    ;;
sh | ash | dash | ksh | ksh93 | mksh | oksh)
    lab_env=${ENV-} ENV=$here/shell-sh.sh
    export lab_env ENV
    "$shell" -i
    ;;
*)
    [ -z "$lab_bin" ] ||
        printf 'The environment is first on PATH, unless start-up files of %s change that.\n' "$shell" >&2
    "$shell" -l
    ;;
esac
