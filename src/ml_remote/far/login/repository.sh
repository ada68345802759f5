# shellcheck shell=sh disable=SC2034,SC2154
# What the scripts about the project's repository share.
command -v git >/dev/null 2>&1 || exit "$NO_GIT"
export LC_ALL=C
# Whatever fails on a disk that is full (less than a MiB is free) fails because of that.
tell_full() {
    code=$?
    if [ "$code" -ne 0 ] && [ "$(df -Pk . | awk 'NR == 2 { print $4 }')" -lt 1024 ]; then
        exit "$DISK"
    fi
    exit "$code"
}
trap tell_full EXIT
note() { printf '%s/lab-coming\n' "$(git rev-parse --git-dir)"; }
describe() {
    printf 'folder %s\n' "$(pwd -P)"
    printf 'head %s\n' "$(git rev-parse --quiet --verify HEAD)"
    printf 'branch %s\n' "$(git symbolic-ref --quiet --short HEAD)"
    printf 'tip %s\n' "$(git rev-parse --quiet --verify "refs/heads/$1")"
    printf 'sent %s\n' "$(git rev-parse --quiet --verify refs/lab/uncommitted)"
    git -c core.quotePath=false status --porcelain --untracked-files=no | sed 's/^.../change /'
}
