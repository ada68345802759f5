# shellcheck shell=sh disable=SC2154
# describe_node FILE: a line about a node that was asked for: its job, and what only Slurm knows
describe_node() {
    node_job=''
    case ${1##*/} in *.new | *.claim | *.pub | host_key | keys | *[!a-z0-9._-]*) return 0 ;; esac
    node_id=''
    { read -r node_id; } 2>/dev/null <"$1"
    [ -n "$node_id" ] && is_job ".lab/jobs/$node_id" && is_sound ".lab/jobs/$node_id" || return 0
    node_job=.lab/jobs/$node_id
    node_state='' node_host='' node_said=''
    { read -r node_state && read -r node_host && read -r node_said; } 2>/dev/null <"$node_job/node"
    [ ! -e "$node_job/idle-end" ] || node_state=idle
    node_left='' node_start='' node_place='' node_of=''
    if ! is_over "$node_job"; then
        look "$node_job"
        node_answer=''
        [ "$asked" = failed ] || # it would keep the person waiting once more
            node_answer=$(patiently squeue --noheader --jobs="$number" --format='%L|%S|%P')
        IFS='|' read -r node_left node_start partition <<END
$node_answer
END
        node_start=$(date -d "${node_start:-N/A}" +%s 2>/dev/null)
        ! is_waiting || node_places
    fi
    printf 'node\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "${1##*/}" "$node_id" "${node_state:--}" \
        "${node_host:--}" "${node_left:--}" "${node_start:--}" "${node_place:--}" "${node_of:--}" "$node_said"
}

# node_places: the place of the job among those that wait for the same partition, and how many wait
node_places() {
    node_place=$(patiently squeue --noheader --states=PENDING --partition="$partition" \
        --sort=-p,i --format=%i | awk -v job="$number" '
            { split($1, parts, "_"); if (parts[1] == job && !place) place = NR }
            END { if (place) print place, NR }')
    node_of=${node_place#* } node_place=${node_place% *}
}

# describe_within: the jobs of ours that run within the job $node_job of Slurm, and end with it
describe_within() {
    { read -r node_number; } 2>/dev/null <"$node_job/slurm"
    grep -lsxF "${node_number:--}" .lab/jobs/*/within | while IFS= read -r within_job; do
        within_job=${within_job%/within}
        is_job "$within_job" || continue
        ! is_over "$within_job" || continue
        printf 'within\t%s\t%s\n' "$node_id" "${within_job##*/}"
        describe "$within_job"
    done
}
