# shellcheck shell=sh disable=SC2034,SC2154
# The command of a job that Slurm runs: $node (slurm-node.sh) on every node, with the lab as $@.
# FAR is the folder of the far half.
[ -z "$SLURM_CPUS_PER_TASK" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"
export FAR
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
exec srun --ntasks-per-node=1 --kill-on-bad-exit=1 --wait=0 sh -c "$node" lab "$first" "$@"
