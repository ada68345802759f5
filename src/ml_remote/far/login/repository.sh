# needs: compare-tree free-space environment-state
# shellcheck shell=sh disable=SC2034,SC2154
# What the scripts about the project's repository share.
[ -n "$git_version" ] || exit "$NO_GIT"
if is_old_git; then
    printf '%s\n' "$numbers" >&2
    exit "$OLD_GIT"
fi
# Whatever fails on a disk that is full (less than a MiB is free) fails because of that.
tell_full() {
    code=$?
    if [ "$code" -ne 0 ] && [ "$(free_kib .)" -lt 1024 ]; then
        exit "$DISK"
    fi
    exit "$code"
}
trap tell_full EXIT

# describe BRANCH BASE: the state of the repository, in lines of a word and what it is
describe() {
    # A repository that git refuses to read is not one without commits: what it says is the reason.
    git_dir=$(git rev-parse --git-dir) || return
    printf 'doing %s\n' "$(doing)"
    printf 'folder %s\n' "$(pwd -P)"
    printf 'environment %s\n' "$(environment_state)"
    # A branch whose file is empty or damaged looks like one without commits.
    head=$(git rev-parse --quiet --verify HEAD) || no_damage || return
    printf 'head %s\n' "$head"
    printf 'branch %s\n' "$(git symbolic-ref --quiet --short HEAD)"
    tip=$(git rev-parse --quiet --verify "refs/heads/$1")
    base=$tip
    [ "${2:-$1}" = "$1" ] || base=$(git rev-parse --quiet --verify "refs/heads/$2")
    printf 'tip %s\nbase %s\n' "$tip" "$base"
    printf 'sent %s\n' "$(git rev-parse --quiet --verify refs/lab/uncommitted)"
    git rev-list --max-parents=0 HEAD -- 2>/dev/null | sed 's/^/root /'
    changed
}

# no_damage: whether HEAD leads to a branch that nothing was committed on yet
no_damage() {
    branch=$(sed -n 's/^ref: //p' "$(git rev-parse --git-path HEAD)")
    if [ -n "$branch" ] && [ -e "$(git rev-parse --git-path "$branch")" ]; then
        printf 'fatal: bad object %s\n' "$branch" >&2
        return 1
    fi
}

# doing: the merge, rebase or other work of several steps that was begun here and is not finished
doing() {
    if [ -e "$git_dir/rebase-merge" ] || [ -e "$git_dir/rebase-apply" ]; then
        echo rebase
    elif [ -e "$git_dir/MERGE_HEAD" ]; then
        echo merge
    elif [ -e "$git_dir/CHERRY_PICK_HEAD" ]; then
        echo cherry-pick
    elif [ -e "$git_dir/REVERT_HEAD" ]; then
        echo revert
    elif [ -e "$git_dir/BISECT_LOG" ]; then
        echo bisect
    fi
}

# pointers: names a few files whose content Git LFS keeps elsewhere and has not brought
pointers() {
    [ -f .gitattributes ] && grep -q 'filter=lfs' .gitattributes || return 0
    plain_git grep -l -I -e '^version https://git-lfs.github.com/spec/' | head -n 6 |
        sed 's/^/pointer /'
}

# changed: names the files with work that is not committed. What is in a submodule, or where it
# leads, is not a matter of this repository.
changed() {
    plain_git status --porcelain --untracked-files=no --ignore-submodules=all |
        sed 's/^.../change /'
}
