# shellcheck shell=sh
# The word `lab` of bash and zsh where it is not installed. As start.py does it for an installed one:
# the nearest lab.toml, the lab.py beside it, and nothing that somebody else may have written. While
# the shell completes, words would only get between its lines.
case $(command -v lab) in
*/*) ;;
*)
    lab() (
        say="echo"
        [ -z "$_LAB_COMPLETE" ] || say=:
        folder=$PWD
        while [ -n "$folder" ] && [ ! -f "$folder/lab.toml" ]; do
            folder=${folder%/*}
        done
        if [ -z "$folder" ]; then
            $say "lab: There is no lab.toml in this folder or a folder above it." >&2
            exit 1
        fi
        if [ ! -f "$folder/lab.py" ]; then
            $say "lab: $folder has no lab.py. Install lab itself: uv tool install git+URL" >&2
            exit 1
        fi
        others=$(find -L "$folder" "$folder/lab.toml" "$folder/lab.local.toml" "$folder/lab.py" \
            "$folder/lab.py.lock" -prune \
            '(' ! -user 0 ! -user "$(id -u)" -o -perm -002 ')' 2>/dev/null)
        if [ -n "$others" ]; then
            $say "lab: Another user owns this or can change it: $others" >&2
            $say "If you trust it, run the project's own command: uv run lab.py" >&2
            exit 1
        fi
        command -v uv >/dev/null || exec python3 "$folder/lab.py" "$@"
        if [ -f "$folder/lab.py.lock" ]; then
            exec uv run --frozen --quiet --script "$folder/lab.py" "$@"
        fi
        exec uv run --quiet --script "$folder/lab.py" "$@"
    )
    ;;
esac
