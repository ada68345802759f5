# needs: folder search-path
# shellcheck shell=sh disable=SC2154
# Leaves the settings $1 for the project's script, and prints what that says of a complete
# environment; nothing when there is something to do. $2 and $3 are LAB_FAR and LAB_FAR_COMMIT.
[ -f scripts/setup-environment.sh ] || exit "$NO_SETUP"
{
    mkdir -p .lab && printf '%s' "$1" >.lab/settings.new && mv .lab/settings.new .lab/settings.toml
} 2>/dev/null || {
    df -Pk . | awk 'END { print $4 }'
    exit "$DISK"
}
LAB_FAR=$2 LAB_FAR_COMMIT=$3
export LAB_FAR LAB_FAR_COMMIT
said=$(sh scripts/setup-environment.sh --check) || exit 0
printf '%s\n' "$said" | tail -n 1
