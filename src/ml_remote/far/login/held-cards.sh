# needs: folder
# shellcheck shell=sh
# The first word that is left is the folder of the far half that is asked about cards.
cards_far=${1-}
[ $# -eq 0 ] || shift
# held_cards: who holds which card, and who waits; nothing where nobody has ever asked for one
held_cards() {
    [ -d /tmp/lab-cards ] || return 0
    for half in "$cards_far" .lab/far/current; do
        [ -f "$half/__main__.py" ] || continue
        for python in .venv/bin/python python3; do
            ! "$python" -s -E "$half" cards show 2>/dev/null || return 0
        done
    done
}
