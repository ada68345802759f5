# needs: folder
# shellcheck shell=sh
# Prints the host keys of the node $1, as this machine knows them or sees them in the cluster's network.
known=$(ssh-keygen -F "$1" -f /etc/ssh/ssh_known_hosts 2>/dev/null | grep -v '^#')
[ -n "$known" ] || known=$(ssh-keyscan -T 10 "$1" 2>/dev/null | grep -v '^#')
printf '%s\n' "$known" | cut -d ' ' -f 2,3
