# needs: compare-tree
# shellcheck shell=sh disable=SC2034,SC2154
# Puts back what an interrupted update of the working tree has left. The commit that is about to
# come is noted beforehand; a file that is on its way from the old state to that one is nobody's work.

# lock: waits until no other update is in progress, and keeps others from beginning until this sh ends;
# sets $note, the file of that note
lock() {
    git_dir=$(git rev-parse --git-dir) || return
    note=$git_dir/lab-coming
    exec 9>>"$git_dir/lab-update" || return
    if command -v flock >/dev/null 2>&1; then
        flock -w 60 9 && locked=yes
    elif command -v perl >/dev/null 2>&1; then
        perl -e 'alarm 60; open(my $f, ">&=9") and flock($f, 2) or exit 1' && locked=yes
    fi
}
locked=''

# free_index: removes the lock that the git of an interrupted update has left. That git has held our
# lock as well, so where we hold it now, that git is gone.
free_index() {
    if [ -n "$locked" ] && [ -s "$note" ]; then
        left=$git_dir/index.lock
        if [ -e "$left" ] && [ -z "$(find "$note" -newer "$left")" ]; then rm -f "$left"; fi
    fi
}

# on_its_way NAME WRITTEN: whether it holds nothing but a part of the new state, or the old one
on_its_way() {
    if [ -L "$1" ]; then
        [ "$(readlink "$1")" = "$(git cat-file blob "$coming:$1" 2>/dev/null)" ]
    elif [ -f "$1" ]; then
        size=$(wc -c <"$1")
        git cat-file blob "$coming:$1" 2>/dev/null | head -c "$size" | cmp -s - "$1" ||
            git cat-file blob "$old:$1" 2>/dev/null | cmp -s - "$1"
    else
        [ ! -e "$1" ]
    fi
}

# put_back: first what makes room on the disk; fails when something could not be put back
put_back() {
    for step in remove restore; do
        changes "$old" "$coming" | while IFS= read -r line; do
            unquote "${line#*"$tab"}"
            if ! on_its_way "$name"; then
                continue
            elif ! git cat-file -e "$old:$name" 2>/dev/null; then
                [ "$step" = restore ] || {
                    git rm --quiet --cached --ignore-unmatch -- ":(literal)$name"
                    rm -f -- "$name"
                }
            elif [ "$step" = restore ]; then
                plain_git checkout --quiet "$old" -- ":(literal)$name" || exit
            fi
        done || return
    done
}

# mend: puts back what the update that was noted has left, and forgets the note
mend() {
    [ -e "$note" ] || return 0
    coming=$(cat "$note" 2>/dev/null)
    old=$(git rev-parse --quiet --verify HEAD || git hash-object -t tree /dev/null)
    if [ "$coming" = "$old" ]; then
        # All of it was done, but for the last step.
        [ "$(git symbolic-ref --quiet --short HEAD)" != lab-uncommitted ] ||
            git update-ref refs/lab/uncommitted "$coming"
    elif [ -n "$coming" ] && git cat-file -e "$coming^{tree}" 2>/dev/null; then
        put_back || return
    fi
    rm -f "$note"
}
