# needs: machine-load held-cards cluster list-jobs nodes environment-state kernels quota
# shellcheck shell=sh
# How busy the machine is, then the jobs, kernels and cards of the project, if it is there, and the
# cluster and the quotas. $2 is the folder of the far half, $3 whether lab.toml asks something of Slurm.
printf 'environment\t%s\n' "$(environment_state | tr ' ' '\t')"
kernels list
for one in .lab/nodes/*; do
    describe_node "$one"
done
held_cards
printf 'logout\t%s\n' "$(at_logout)"
cluster
quotas "$PWD" "$HOME"
