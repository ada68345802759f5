# needs: folder
# shellcheck shell=sh
# Prints the SHA-256, the size and the name of each file in .lab/wheels.
cd .lab/wheels || exit
sum='shasum -a 256'
if command -v sha256sum >/dev/null 2>&1; then sum=sha256sum; fi
for file in *; do
    [ -f "$file" ] || continue
    of_file=$($sum <"$file")
    printf '%s %d %s\n' "${of_file%% *}" "$(wc -c <"$file")" "$file"
done
