# needs: folder sweeps
# shellcheck shell=sh disable=SC2034,SC2154
# Describes the sweeps $@.
now
for sweep; do
    describe_sweep ".lab/sweeps/$sweep"
done
