# needs: folder
# shellcheck shell=sh disable=SC2034,SC2154
# Prints the SHA-256 of the first $1 bytes of the file $2 below outputs/, and so on with $3 and $4...
cd outputs || exit
sum='shasum -a 256'
if command -v sha256sum >/dev/null 2>&1; then sum=sha256sum; fi
while [ $# -gt 0 ]; do
    head -c "$1" "./$2" | $sum
    shift 2
done
