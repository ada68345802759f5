# shellcheck shell=sh
# The word `lab` of bash and zsh where it is not installed: uv runs the version that printed this, as
# it would be installed, and that one runs what the project pins. SOURCE is replaced.
case $(command -v lab) in
*/*) ;;
*)
    lab() {
        if command -v uv >/dev/null; then
            uv tool run --quiet SOURCE lab "$@"
        else
            [ -n "$_LAB_COMPLETE" ] || echo "lab needs uv: https://docs.astral.sh/uv/" >&2
            return 1
        fi
    }
    ;;
esac
