# needs: jobs nodes
# shellcheck shell=sh
# Describes the node $1, or all of them, and the jobs that they are; with $2, what runs on it, too.
now
for one in .lab/nodes/${1:-*}; do
    describe_node "$one"
    [ -z "$node_job" ] || describe "$node_job"
    [ -z "$node_job" ] || [ -z "$2" ] || describe_within
done
