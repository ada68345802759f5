# shellcheck shell=sh disable=SC2086,SC2046
# Prints the fingerprints of the machine's host keys, and its address: user@host:port. It is pasted
# into a terminal there as one line, between single quotes for whatever shell the person has. So
# every line here is a command of its own, and there is no single quote, no backslash (fish) and no
# exclamation mark (csh). The port is that of the session it is pasted into, if that came through
# SSH, else the one in the configuration of the server.
cd /etc/ssh || exit
cat ssh_host_*.pub | ssh-keygen -lf - >&2 || echo "No SSH server is installed here." >&2
set -- $SSH_CONNECTION
p=$(sed -n "s/^Port //p" sshd_config sshd_config.d/* 2>&- | tail -n 1)
a=${3:-$(hostname -I 2>&- || hostname)}
a=${a%% *}
case $a in *:*) a=[$a] ;; esac
echo "$(id -un)@$a:${4:-${p:-22}}"
