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
    { mv "$new.pub" .lab/nodes/host_key.pub && mv "$new" .lab/nodes/host_key; } || no_room
fi
{ printf '%s' "$2" >.lab/node-proxy.new && mv .lab/node-proxy.new .lab/node-proxy; } || no_room
cut -d ' ' -f 1,2 .lab/nodes/host_key.pub
