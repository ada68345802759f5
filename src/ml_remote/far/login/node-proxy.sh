# needs: slurm folder-owner
# shellcheck shell=sh disable=SC2154
# Written to the machine as .lab/node-proxy: ssh on the laptop has it lead to the running job of the
# node $1. It submits nothing and waits for nothing, since ssh gives it a few seconds.
LC_ALL=C
export LC_ALL

# say SENTENCE: end the connection as an SSH server does, with a reason. Where connections are shared,
# ssh shows nothing else of what it gets before a login (RFC 4253, 11.1).
say() {
    text="lab: $1"
    size=${#text}
    padding=$((8 - (18 + size) % 8))
    [ "$padding" -ge 4 ] || padding=$((padding + 8))
    length=$((14 + size + padding))
    printf 'SSH-2.0-lab\r\n'
    # shellcheck disable=SC2059 # the escapes are what it is for
    printf "$(printf '\\000\\000\\%03o\\%03o\\%03o\\001\\000\\000\\000\\013\\000\\000\\%03o\\%03o' $((length / 256)) \
        $((length % 256)) "$padding" $((size / 256)) $((size % 256)))"
    printf '%s\000\000\000\000' "$text"
    while [ "$padding" -gt 0 ]; do
        printf '\000'
        padding=$((padding - 1))
    done
    $few cat >/dev/null # until ssh has read it
    exit 1
}
few=''
! command -v timeout >/dev/null 2>&1 || few='timeout 8'
cd -- "${0%/*}/.." || exit
id='' number='' again='lab node'
[ "$1" = node ] || again="lab node --name $1"
{ read -r id && read -r number <".lab/jobs/$id/slurm"; } 2>/dev/null <".lab/nodes/$1"
case $number in '' | *[!0-9]*) say "No compute node is running. Start one: $again" ;; esac
job=.lab/jobs/$id
# Where a group may write to the project, another user may have put a job there that is not its owner's.
if is_foreign . || is_foreign "$job"; then
    say 'Another user may change what runs in this project. To see where: lab status'
fi
[ ! -e "$job/idle-end" ] || say "Job $number ended because it was unused. Start another one: $again"
find_slurm || say "Slurm's commands are not found on $(uname -n). Log in there and try: squeue"
if said=$($few squeue --noheader --states=all --jobs="$number" --format='%T|%r' 2>&1); then
    said=$(printf '%s\n' "$said" | sed -n '/^[A-Z_]*|/p') # not what it warns of
elif [ $? = 124 ]; then
    said=silent
fi
reason=$(printf '%s' "${said#*|}" | tr -c '0-9A-Za-z_,() -' ' ')
case $said in
RUNNING\|*) ;;
SUSPENDED\|* | STOPPED\|*) say "Slurm has suspended job $number ($reason). To wait for it: $again" ;;
PENDING\|* | CONFIGURING\|*) say "Job $number is waiting in the queue ($reason). To wait for it: $again" ;;
'' | *'Invalid job id'* | [A-Z]*\|*)
    word=${said%%|*}
    case $word in *[!A-Z_]*) word='' ;; esac
    # Slurm calls a node that was stopped cancelled, or failed if it had cleared up by then.
    [ ! -e "$job/stopped" ] || say "Job $number was stopped. Start another one: $again"
    say "Job $number has ended${word:+ ($word)}. Start another one: $again"
    ;;
*) say "Slurm does not answer on $(uname -n). Try again later: $again" ;;
esac
word='' node='' socket=''
{ read -r word && read -r node && read -r socket && read -r python && read -r relay; } 2>/dev/null <"$job/node"
[ -n "$word" ] || say "Job $number is starting. To wait for it: $again"
[ "$word" = ready ] || say "Job $number runs on $node, where you cannot run an SSH server. To see what helps: $again"
overlap=''
! srun --help 2>/dev/null | grep -q -e --overlap || overlap=--overlap
# shellcheck disable=SC2086 # older versions do without
exec srun --jobid="$number" $overlap --quiet --ntasks=1 --nodes=1 --nodelist="$node" --gres=none \
    --mpi=none --unbuffered "$python" -S -E -s "$relay" "$socket"
