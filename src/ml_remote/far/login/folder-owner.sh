# shellcheck shell=sh
# is_foreign FOLDER: whether it, or what the tool keeps in it, belongs to another user, who could
# change at any time what runs in it; root may
is_foreign() {
    [ -n "$(find -H "$1" "$1/.lab" "$1/.lab/jobs" "$1/.lab/secrets" "$1/.lab/nodes" "$1/.lab/far" \
        "$1/.lab/far/"* -prune ! -user "$(id -u)" ! -user 0 2>/dev/null)" ]
}

# links: names what is a link in .lab, the folder that one is in has it. A commit can bring one, and
# what the tool writes would go where it leads. In the folders left out, other programs make links.
links() {
    find .lab -maxdepth 2 \( -path .lab/cache -o -path .lab/envs -o -path .lab/uv \) ! -type l -prune \
        -o -type l ! -path '.lab/far/current*' -print 2>/dev/null
}

# make_state: make .lab, which git ignores from then on, whatever the project's .gitignore says
make_state() { mkdir -p .lab && { [ -e .lab/.gitignore ] || printf '*\n' >.lab/.gitignore; }; }
