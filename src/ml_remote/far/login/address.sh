# shellcheck shell=sh disable=SC2046,SC2086
# Prints the address of the machine: user@host:port. It is pasted into a terminal there as one line,
# between single quotes for whatever shell the person has. So every line here is a command of its
# own, and there is no single quote, no backslash (fish) and no exclamation mark (csh). The port is
# that of the session it is pasted into, if that came through SSH, else the one in the
# configuration of the server, which may only lie in a file it includes.
configuration="/etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf"
set -- $SSH_CONNECTION
a=$3 p=$4
[ $p ] || p=$(sed -n "s/^[Pp]ort[[:space:]]*//p" $configuration 2>/dev/null | head -n 1)
p=${p:-22}
k=$(ssh-keyscan -T 5 -p $p ${a:-127.0.0.1} 2>/dev/null)
h="sudo systemctl enable --now sshd"
if command -v apt-get >/dev/null; then h="sudo apt install openssh-server && sudo systemctl enable --now ssh"; fi
case $(uname) in Darwin) h="System Settings > General > Sharing > Remote Login" ;; esac
if [ -z "$k" ]; then echo "No SSH server answers here on port $p. Start one:" >&2; echo "  $h" >&2; exit 1; fi
echo "Its host key:" >&2
echo "$k" | ssh-keygen -lf - >&2
[ $a ] || { set -- $(hostname -I 2>/dev/null || ipconfig getifaddr en0 || hostname); a=$1; }
case $a in *:*) a=[$a] ;; esac
echo "$(id -un)@$a:$p"
