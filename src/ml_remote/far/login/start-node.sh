# needs: prepare node-claim start-slurm
# shellcheck shell=sh
# Submits the job of a compute node, unless another computer was faster.
