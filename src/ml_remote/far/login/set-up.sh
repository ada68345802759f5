# needs: search-path
# shellcheck shell=sh
# set_up [--check]: runs the project's script; where it has none, the far half itself, which needs no
# more than a Python from 3.6 on, with the lists that were handed over
set_up() {
    if [ -f scripts/setup-environment.sh ]; then
        sh scripts/setup-environment.sh "$@"
        return
    fi
    for program in python3 python python3.14 python3.13 python3.12 python3.11; do
        if "$program" -c 'import sys; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1; then
            "$program" "$LAB_FAR" environment "$@"
            return
        fi
    done
    if command -v uv >/dev/null 2>&1; then
        uv run --quiet --no-project --python '>=3.11' python "$LAB_FAR" environment "$@"
    elif command -v conda >/dev/null 2>&1; then
        "$(conda info --base)/bin/python" "$LAB_FAR" environment "$@"
    else
        echo "Error: This machine has no Python 3.6 or newer, no conda and no uv." >&2
        echo "  uv needs no administrator: curl -LsSf https://astral.sh/uv/install.sh | sh" >&2
        return 1
    fi
}
