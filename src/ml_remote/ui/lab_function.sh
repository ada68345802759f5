# shellcheck shell=bash
# The word `lab` of bash and zsh where it is not installed: uv runs the version that printed this, as
# it would be installed, and that one runs what the project pins. SOURCE is replaced. A person's own
# alias of this name is left alone; `function` keeps the shell from reading it here.
case $(alias lab 2>/dev/null || command -v lab) in
*/* | *=*) ;;
*)
    function lab {
        if command -v uv >/dev/null; then
            uv tool run --quiet SOURCE lab "$@"
        else
            [ -n "${_LAB_COMPLETE-}" ] || echo "lab needs uv: https://docs.astral.sh/uv/" >&2
            return 1
        fi
    }
    ;;
esac
