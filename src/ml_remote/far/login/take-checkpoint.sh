# shellcheck shell=sh disable=SC2034,SC2154
# Copies the checkpoint $from, where there is one, into LAB_OUTPUT_DIR, with its time: it is no new one. A run that Slurm or torchrun
# starts again has one of its own by then, which is the newer one.
to=$LAB_OUTPUT_DIR/checkpoint.pt
if [ -f "$from" ] && [ ! -f "$to" ]; then
    if ! { mkdir -p "$LAB_OUTPUT_DIR" && cp -p "$from" "$to.$$" && mv "$to.$$" "$to"; }; then
        rm -f "$to.$$"
        exit 1
    fi
fi
