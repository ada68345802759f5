# needs: jobs
# shellcheck shell=sh disable=SC2034,SC2154
# What the scripts about sweeps have; the folder of a sweep is described in sweep_worker.py.
# is_sweep SWEEP: whether it is one, all of which can be read to an end
is_sweep() {
    named "$1" && [ -f "$1/about.json" ] && [ -f "$1/started" ] &&
        [ -z "$(find "$1" ! -type d ! -type f -o -type f -size +16384 2>/dev/null)" ]
}

# take_code SWEEP FAR: have its sets that begin from now on run the code as it is now; else prints why
# not, and returns the exit code that says it
take_code() {
    [ -x .venv/bin/python ] || return 0
    python=$(CDPATH='' cd -P -- .venv/bin && pwd -P)/python
    said=$("$python" -s -E "$2" sweep begin "${1##*/}" 2>&1) && return
    fault=$?
    printf '%s\n' "$said" | tail -n 1
    return "$fault"
}

# can_link SWEEP: whether its disk has hard links, which a worker claims a set by
can_link() {
    { true >"$1/.link" && ln "$1/.link" "$1/claims/.link"; } 2>/dev/null
    linked=$?
    rm -f "$1/.link" "$1/claims/.link"
    return "$linked"
}

# outcomes SWEEP: a line of JSON for each set that has ended. What has failed counts no more once the
# sweep was resumed.
outcomes() {
    round=$(find "$1/rounds" -type f 2>/dev/null | grep -c .)
    find "$1/done" -type f -name '[0-9]*.json' -exec cat {} + 2>/dev/null |
        awk -v round="$round" '/"exit_code": 0,/ || index($0, "\"round\": " round "}")'
}

# begun SWEEP: the numbers of the sets that somebody has claimed, and that have not ended since
begun() {
    {
        find "$1/done" -type f -name '[0-9]*.json' -exec cat {} + 2>/dev/null |
            sed -n 's/^{"set": \([0-9]*\),.*"attempt": \([0-9]*\),.*/ended \1 \2/p'
        find "$1/claims" -type f -name '[0-9]*.[0-9]*' 2>/dev/null |
            sed 's|.*/|claimed |; s|[.]| |'
    } | awk '
        $1 == "ended" { ended[$2] = $3 + 1; next }
        $3 >= ended[$2] { begun[$2] }
        END { for (one in begun) print one }'
}

# elsewhere SWEEP: how many sets each other machine has, as `a=2 b=3`; `-` for none
elsewhere() {
    set -- "$1/elsewhere" -
    for file in "$1"/*.jsonl; do
        [ -f "$file" ] || continue
        own=${file%.jsonl}
        printf '%s %s\n' "${own##*/??????.}" "$(grep -c . <"$file")"
    done | awk '{ count[$1] += $2 } END { for (one in count) print one "=" count[one] }' |
        sort | tr '\n' ' '
    printf '%s' "$2"
}

# given SWEEP: the machines whose sets others have now; `-` at the end
given() {
    for own in "$1"/given/*; do
        [ ! -f "$own" ] || printf '%s ' "${own##*/}"
    done
    printf '%s' -
}

# describe_sweep SWEEP: one line about it, as runs/sweeps/state.py reads it
describe_sweep() {
    is_sweep "$1" || return 0
    start='' about='' why='-'
    { read -r start <"$1/started" && read -r about <"$1/about.json"; } 2>/dev/null
    if [ -e "$1/stopped" ]; then
        why=stopped
        for own in failures proposals; do
            ! grep -qs "\"why\": \"$own\"" "$1/stopped" || why=$own
        done
    fi
    total=$(cat "$1"/sets/*.jsonl 2>/dev/null | sed 's/,.*//' | sort -u | grep -c .)
    wanted=0
    { [ ! -f "$1/wanted" ] || read -r wanted <"$1/wanted"; } 2>/dev/null
    [ "$wanted" -le "$total" ] 2>/dev/null || total=$wanted
    counts=$(outcomes "$1" | awk '
        { seconds = $0; sub(/.*"seconds": /, "", seconds); sub(/[^0-9.].*/, "", seconds) }
        { ended = $0; sub(/.*"ended": /, "", ended); sub(/[^0-9].*/, "", ended) }
        { took += seconds; if (ended > last) last = ended }
        /"exit_code": 0,/ { ok++; next }
        { bad++ }
        END { printf "%d\t%d\t%d\t%d", ok, bad, took, last }')
    printf 'sweep\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "${1##*/}" "$start" "$total" "$counts" \
        "$(begun "$1" | grep -c .)" "$why" "$(elsewhere "$1")" "$(given "$1")" "$about"
}
