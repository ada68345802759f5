# needs: jobs free-space
# shellcheck shell=sh
# Prepares logins on compute nodes: their host key, the key $1 that they take, and .lab/node-proxy with
# the text $2. Prints the public host key.
no_room() {
    free_kib .
    exit "$DISK"
}
umask 077
{ make_state && mkdir -p .lab/nodes .lab/jobs; } 2>/dev/null || no_room
keys=.lab/nodes/keys
grep -qsxF "$1" "$keys" || printf '%s\n' "$1" >>"$keys" || no_room
if [ ! -s .lab/nodes/host_key ]; then
    new=.lab/nodes/host_key.$$
    # A system in FIPS mode takes fewer types.
    for type in ed25519 ecdsa rsa; do
        rm -f "$new" "$new.pub"
        ! ssh-keygen -q -t "$type" -N '' -C '' -f "$new" >/dev/null 2>&1 || break
    done
    [ -s "$new" ] || exit "$NO_KEY"
    # Another command may have been faster: its key stays.
    ln "$new" .lab/nodes/host_key 2>/dev/null || [ -s .lab/nodes/host_key ] ||
        mv "$new" .lab/nodes/host_key || no_room
    rm -f "$new" "$new.pub"
fi
{ printf '%s' "$2" >".lab/node-proxy.$$" && mv ".lab/node-proxy.$$" .lab/node-proxy; } || no_room
ssh-keygen -y -f .lab/nodes/host_key </dev/null | cut -d ' ' -f 1,2
