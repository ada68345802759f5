# needs: slurm
# shellcheck shell=sh
# The first word that is left says `yes` if lab.toml asks something of Slurm.
asks_slurm=${1-}
[ $# -eq 0 ] || shift
# cluster: what Slurm says of its nodes and of this person's jobs, where the machine has a Slurm. A login
# shell is asked for its commands only where one has been used.
cluster() {
    for one in .lab/jobs/*/slurm; do
        [ ! -s "$one" ] || asks_slurm=yes
    done
    command -v sinfo >/dev/null 2>&1 || { [ "$asks_slurm" = yes ] && find_slurm; } || return 0
    # Columns of a fixed width: the name of a state or a card may have any sign in it.
    if [ "$asked" != failed ]; then # else it would keep the person waiting once more
        slurm_nodes=$(patiently sinfo --noheader --Node \
            --Format='Partition:60,NodeList:80,StateCompact:20,Time:20,Gres:200,GresUsed:200,Available:10') ||
            [ $? != 124 ] || asked=failed
    fi
    if [ "$asked" = failed ]; then
        echo slurm-silent
        return 0
    fi
    printf '%s\n' "$slurm_nodes" | awk '{ print "slurm-node\t" $0 }'
    patiently squeue --noheader --user="$(id -u)" --format='%i|%P|%T|%L|%B|%r|%j' |
        awk '{ print "slurm-job\t" $0 }'
}
