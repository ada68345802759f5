# needs: folder
# shellcheck shell=sh disable=SC2154
# Prints the SHA-256 of each of these files in `data`, a line for each.
cd data || exit "$NO_FOLDER"
sum='shasum -a 256'
if command -v sha256sum >/dev/null 2>&1; then sum=sha256sum; fi
for file; do
    shift
    set -- "$@" "./$file"
done
$sum -- "$@"
