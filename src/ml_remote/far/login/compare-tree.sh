# needs: git
# shellcheck shell=sh disable=SC2034,SC2154
# Compares a tree that is about to be checked out with the files on the disk: the only place that
# does, for pushes on the machine and for pulls here. git writes a name with a line break, a quote
# or a backslash between quotes, so that every name is one line.
export LC_ALL=C
tab=$(printf '\t')
plain_git() {
    git -c core.hooksPath=/dev/null "$@"
}

# changes OLD NEW: one line for each path that differs: modes, objects, a tab, the name
changes() {
    plain_git diff-tree -r --no-renames --raw --no-abbrev --ignore-submodules=none "$1" "$2"
}

# changes_on_the_way OLD NEW: the same of every commit that leads from OLD to NEW
changes_on_the_way() {
    git rev-list "$1..$2" | plain_git diff-tree --stdin -m -r --no-renames --raw --no-abbrev \
        --ignore-submodules=none | sed -n '/^:/p'
}

# unquote WRITTEN: sets $name to the name that git has written so
unquote() {
    name=$1
    case $name in
    '"'*)
        name=${name#?}
        name=$(printf '%s\n' "${name%?}" | sed 's/%/%%/g; s/\\"/"/g')
        # shellcheck disable=SC2059 # the escapes are what it is for
        name=$(printf -- "$name." 2>/dev/null)
        name=${name%.}
        ;;
    esac
}

# untracked PATH: names what is not tracked at a path, or below it if it is a folder
untracked() {
    # A git that cannot tell knows of nothing that is tracked.
    others=$(plain_git ls-files --others -- "$magic$1") || others=$1
    [ -z "$others" ] || printf '%s\n' "$others" | sed 's/^/way /'
}

# is_blocked NAME: whether something that is no folder is above it; names it if it is not tracked
is_blocked() {
    rest=$1 folder=''
    [ "${rest%/*}" != "$clear" ] || return 1
    while [ "$rest" != "${rest#*/}" ]; do
        folder=$folder${rest%%/*} rest=${rest#*/}
        if [ -L "$folder" ] || { [ -e "$folder" ] && [ ! -d "$folder" ]; }; then
            untracked "$folder"
            return 0
        fi
        folder=$folder/
    done
    clear=${1%/*}
    return 1
}

# in_the_way [every]: of changes that it reads, names what they would replace or remove although git
# does not track it, in lines that begin with `way`. With `every`, files that a change finds tracked
# in its own past are looked at, too.
in_the_way() {
    # Where capitals do not matter, a file may be in the way under another name.
    magic=':(literal)' clear=''
    [ ! -e "$(git rev-parse --git-dir)/hEAD" ] || magic=':(literal,icase)'
    sort -u | while IFS= read -r line; do
        shown=${line#*"$tab"} old=${line#:} new=${line#* }
        old=${old%% *} new=${new%% *}
        [ "$new" != 000000 ] || continue
        unquote "$shown"
        if is_blocked "$name"; then
            continue
        elif [ -L "$name" ] || { [ -e "$name" ] && [ ! -d "$name" ]; }; then
            [ "$old" != 000000 ] && [ "$old" != 160000 ] && [ -z "$1" ] || untracked "$name"
        elif [ -d "$name" ] && [ "$new" != 160000 ]; then
            untracked "$name"
            # git removes what is in a submodule with all the rest.
            [ "$old" != 160000 ] || [ -z "$(ls -A "./$name")" ] || printf 'way %s\n' "$shown"
        fi
    done | sort -u
}

# submodules: names those whose files are not what the commit that is checked out says
submodules() {
    plain_git ls-files --stage | sed -n "s/^160000 \([0-9a-f]*\) 0$tab/\1 /p" |
        while read -r commit shown; do
            unquote "$shown"
            if [ ! -e "./$name/.git" ] ||
                [ "$(git -C "./$name" rev-parse --quiet --verify HEAD)" != "$commit" ] ||
                [ -n "$(git -C "./$name" status --porcelain --untracked-files=no)" ]; then
                printf 'submodule %s\n' "$shown"
            fi
        done
}
