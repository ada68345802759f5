# functions: prepare-repository update-repository
# shellcheck shell=sh
# A push in one session, where the machine is as the last push has left it: looks at the repository,
# has git take the commit, and checks it out. $1 is the commit, $2 some of those before it, between
# commas, $3 the branch, $4 the folder. Standard output is git's own; so what is found goes to
# standard error, in lines that begin with a mark. Where anything is different from what the last
# push has left, nothing is taken.
mark='== lab push'

# report COMMAND...: what it prints; in lines that begin with `said`, what it says; its exit code
report() {
    {
        said=$("$@" </dev/null 2>&1 >&3)
        code=$?
        [ -z "$said" ] || printf '%s\n' "$said" | sed 's/^/said /'
        printf 'code %s\n' "$code"
    } 3>&1
}

# is_as_left KNOWN BRANCH: whether the branch is checked out there, at one of these commits, and
# nothing else was done
is_as_left() {
    [ "$code" = 0 ] && [ -n "$head" ] || return 1
    case ",$1," in *",$head,"*) ;; *) return 1 ;; esac
    [ "$branch" = "$2" ] && [ "$tip" = "$head" ] && [ "$base" = "$head" ] && [ -z "$work" ]
}

# came: whether the commit is there under the name by which pushes come
came() { [ "$(git rev-parse --quiet --verify "refs/lab/coming/$1")" = "$1" ]; }

state=$(report prepare_repository "$4" "$3" "$3")
printf '%s\n' "$state" | sed "s/^/$mark there == /" >&2
code='' head='' branch='' tip='' base='' work=''
while read -r word text; do
    case $word in
    code) code=$text ;;
    head) head=$text ;;
    branch) branch=$text ;;
    tip) tip=$text ;;
    base) base=$text ;;
    doing | change) work=$work$text ;;
    esac
done <<END
$state
END
is_as_left "$2" "$3" || exit
CDPATH=''
cd && cd -- "$4" || exit
# What was sent before, and not checked out, may be what a hook of the laptop refuses this time.
! came "$1" || exit
printf '%s takes ==\n' "$mark" >&2
git receive-pack "$(pwd -P)" || exit
came "$1" || exit 0
report update_repository "$4" "$3" "$1" "$head" | sed "s/^/$mark update == /" >&2
