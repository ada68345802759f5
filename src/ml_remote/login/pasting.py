"""The line to paste into a terminal on the other machine, which answers with its address."""

from __future__ import annotations

__all__ = ["paste_line"]

# Between single quotes for whatever shell the person has there: so no single quote, no backslash
# (fish) and no exclamation mark (csh). The port is that of the session it is pasted into, if that
# came through SSH, else the one in the server's configuration, which may only lie in a file it
# includes.
_STEPS = (
    "set -- $SSH_CONNECTION",
    "a=$3 p=$4",
    '[ $p ] || p=$(sed -n "s/^[Pp]ort[[:space:]]*//p" {configuration} 2>/dev/null | head -n 1)',
    "p=${{p:-22}}",
    "k=$(ssh-keyscan -T 5 -p $p ${{a:-127.0.0.1}} 2>/dev/null)",
    'if [ -z "$k" ]; then echo "No SSH server answers here on port $p. Start one:" >&2',
    'case $(uname) in Darwin) h="System Settings > General > Sharing > Remote Login";;'
    " *) if command -v apt-get >/dev/null; then"
    ' h="sudo apt install openssh-server && sudo systemctl enable --now ssh";'
    ' else h="sudo systemctl enable --now sshd"; fi;; esac',
    'echo "  $h" >&2; exit 1; fi',
    'echo "Its host key:" >&2; echo "$k" | ssh-keygen -lf - >&2',
    "[ $a ] || {{ set -- $(hostname -I 2>/dev/null || ipconfig getifaddr en0 || hostname); a=$1; "
    "}}",
    "case $a in *:*) a=[$a];; esac",
    'echo "$(id -un)@$a:$p"',
)


def paste_line(configuration: str = "/etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf") -> str:
    """Return the line; `configuration` are the files that may name the port of the server."""
    return f"sh -c '{'; '.join(_STEPS).format(configuration=configuration)}'"
