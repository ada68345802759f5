# shellcheck shell=sh
# Look for programs where people have them: a command that comes by ssh gets a short PATH, without
# what a person's start-up files add.
for folder in "$HOME/.local/bin" "$HOME/bin" "$HOME/.cargo/bin" /usr/local/bin /opt/homebrew/bin; do
    PATH=$PATH:$folder
done
for base in "$HOME" /opt; do
    for name in miniforge3 mambaforge miniconda3 miniconda anaconda3 conda; do
        PATH=$PATH:$base/$name/condabin:$base/$name/bin
    done
done
export PATH
