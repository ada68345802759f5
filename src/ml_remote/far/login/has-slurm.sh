# needs: folder slurm
# shellcheck shell=sh
# Prints whether the machine has Slurm.
if find_slurm; then echo yes; else echo no; fi
