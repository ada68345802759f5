# needs: enter code run
# shellcheck shell=sh disable=SC2034,SC2154
# What srun runs on every node: the lab, by torchrun where it takes more than one process. They meet
# at the first node, at the address by which Slurm itself reaches it. torchrun listens on every
# network for whoever comes, so a process that is alone does without.
# Arguments: the first node, the script and its arguments.
address() {
    found=$(scontrol --oneliner show node "$1" | sed -n "s/.* NodeAddr=\([^ ]*\) .*/\1/p")
    printf "%s\n" "${found:-$1}"
}
# A job that trains on the CPU beside its card says so, while the lab begins.
[ "$SLURM_NODEID" != 0 ] || "$python" "$FAR" card &
tty='' first=$1 processes=${SLURM_GPUS_ON_NODE:-1}
shift
if [ "$SLURM_JOB_NUM_NODES" = 1 ]; then
    [ "$processes" -gt 1 ] || run "$python" "$@"
    set -- --standalone "$@"
else
    is_host=0
    [ "$SLURM_NODEID" != 0 ] || is_host=1
    set -- --nnodes "$SLURM_JOB_NUM_NODES" --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d \
        --rdzv-endpoint "$(address "$first"):$((20000 + SLURM_JOB_ID % 10000))" \
        --rdzv-conf is_host=$is_host --local-addr "$(address "$SLURMD_NODENAME")" "$@"
fi
run "$python" -m torch.distributed.run --nproc-per-node "$processes" "$@"
