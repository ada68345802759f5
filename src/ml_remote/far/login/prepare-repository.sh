# needs: owner repository
# shellcheck shell=sh disable=SC2034,SC2154
# Makes the repository in the folder $1 where it is missing, puts back what an interrupted push left,
# and describes it for the branch $2. $3 is the commit that is about to come, if any.
CDPATH=''
cd && mkdir -p -- "$1" && cd -- "$1" || exit "$NO_FOLDER"
! is_foreign . || exit "$NOT_YOURS"
# Nothing that leads further up means that a repository begins here.
[ -z "$(git rev-parse --show-cdup 2>/dev/null || echo none)" ] || git init --quiet . || exit
git rev-parse --quiet --verify HEAD >/dev/null || git symbolic-ref HEAD "refs/heads/$2"
[ "$(git config receive.denyCurrentBranch)" = updateInstead ] ||
    git config receive.denyCurrentBranch updateInstead || exit

# on_its_way FILE: whether it holds nothing but a part of the new state, or the old one
on_its_way() {
    if [ -L "$1" ]; then
        [ "$(readlink "$1")" = "$(git cat-file blob "$coming:$1" 2>/dev/null)" ]
    elif [ -f "$1" ]; then
        size=$(wc -c <"$1")
        git cat-file blob "$coming:$1" 2>/dev/null | head -c "$size" | cmp -s - "$1" ||
            git cat-file blob "$old:$1" 2>/dev/null | cmp -s - "$1"
    else
        [ ! -e "$1" ]
    fi
}
put_back() {
    git diff-tree -r -z --name-only "$old" "$coming" | tr '\0' '\n' | while IFS= read -r file; do
        if ! on_its_way "$file"; then
            continue
        elif git cat-file -e "$old:$file" 2>/dev/null; then
            git checkout --quiet "$old" -- ":(literal)$file"
        else
            git rm --quiet --cached --ignore-unmatch -- ":(literal)$file"
            rm -f -- "$file"
        fi
    done
}
coming=$(cat "$(note)" 2>/dev/null)
old=$(git rev-parse --quiet --verify HEAD || git hash-object -t tree /dev/null)
if [ -n "$coming" ] && [ "$coming" != "$old" ] && git cat-file -e "$coming^{tree}" 2>/dev/null; then
    put_back
fi
rm -f "$(note)"
state=$(describe "$2")
printf '%s\n' "$state"
case $state in
*"
change "*) exit 0 ;;
esac
# Nothing comes when the machine is ahead on the branch that it has checked out.
if [ -z "$3" ] || [ "$3" = "$old" ]; then
    exit 0
elif [ "$(git symbolic-ref --quiet --short HEAD)" = "$2" ] &&
    git merge-base --is-ancestor "$3" "$old" 2>/dev/null; then
    exit 0
fi
printf '%s\n' "$3" >"$(note)"
