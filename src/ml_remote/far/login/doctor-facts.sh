# needs: folder-owner free-space git logout quota environment-state
# shellcheck shell=sh disable=SC2154
# What `lab doctor` asks the machine. $1 is the project's folder; the disk that counts is the one it
# is on, or will be on. Every line begins with a mark: the login shell may print lines of its own.
cd || exit
case $1 in /*) place=$1 ;; *) place=$HOME/$1 ;; esac
say() { printf 'lab-fact %s\n' "$*"; }

# what_environment: in which state .venv is, in a word
what_environment() {
    if [ ! -e .venv ]; then
        if [ -L .venv ]; then echo dangling; else echo none; fi
    elif [ ! -x .venv/bin/python ]; then
        echo no-python
    elif [ -e .lab/environment.incomplete ]; then
        echo incomplete
    elif ! $patiently .venv/bin/python -I -c '' >/dev/null 2>&1; then
        echo broken
    elif [ -n "$(find pyproject.toml environment.yml requirements.lock \
        -newer .venv/lab-environment.json 2>/dev/null)" ]; then
        echo older
    else
        echo made
    fi
}

# outside: the Python programs of this person in the folder that no job has started
outside() {
    here=$(pwd -P)
    find /proc/[0-9]* -prune -user "$(id -u)" 2>/dev/null | while read -r process; do
        case $(readlink "$process/cwd" 2>/dev/null)/ in "$here"/*) ;; *) continue ;; esac
        words=$(tr '\0' ' ' <"$process/cmdline" 2>/dev/null)
        case ${words%% *} in *python*) ;; *) continue ;; esac
        # What the editor starts is no program of the person's, nor a kernel that outlived it.
        case $words in *ipykernel* | *vscode* | *cursor-server* | *codium*) continue ;; esac
        case $words in */lab_kernel.py* | */.lab/far/*' lasting'*) continue ;; esac
        grep -q LAB_JOB_FOLDER= "$process/environ" 2>/dev/null || say outside "${process#/proc/}"
    done
}

# try_disk FOLDER: whether a file can be written there, and run
try_disk() {
    file=$1/.lab-doctor-$$
    if [ ! -d "$1" ]; then
        echo missing
    elif ! (printf '#!/bin/sh\nexit 0\n%4096s\n' '' >"$file") 2>/dev/null; then
        echo full
    elif chmod 700 "$file" && "$file" 2>/dev/null; then
        echo works
    else
        echo noexec
    fi
    rm -f "$file"
}

say time "$(date +%s)"
say python "$(python3 -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)"
say git "$git_version"
say rsync "$(rsync --version 2>/dev/null | sed -n 1p)"
lacking=''
for tool in awk cat chmod cmp cp cut date df find grep head id ls mkdir mktemp mv readlink rm sed sleep \
    sort tail touch tr uname wc; do
    command -v "$tool" >/dev/null 2>&1 || lacking="$lacking $tool"
done
say lacking "$lacking"
say slurm "$(command -v sbatch 2>/dev/null)"
if [ ! -d "$place" ]; then
    say folder none
elif is_foreign "$place"; then
    say folder foreign
elif ! cd -- "$place" 2>/dev/null; then
    say folder closed
elif [ -n "$(links)" ]; then
    say folder linked
else
    say folder yours
    say environment "$(what_environment)"
    say lists "$(environment_state | cut -d " " -f 2)"
    if [ -d data ]; then
        say data "$(free_kib data)"
    elif [ -L data ]; then
        say data dangling
    else
        say data none
    fi
    if [ -r /proc/self/environ ]; then
        outside
        say outside "done"
    fi
    if [ -e .git/shallow ]; then
        say repository shallow
    elif [ -e .git ]; then
        say repository "$(git rev-list --max-parents=0 HEAD 2>/dev/null | tr '\n' ' ')"
        say branch "$(git symbolic-ref HEAD 2>/dev/null)"
    else
        say repository none
    fi
fi
while [ -n "$place" ] && [ ! -d "$place" ]; do place=${place%/*}; done
say free "$(free_kib "${place:-/}")"
say logout "$(at_logout)"
say writing "$(try_disk "${place:-/}")"
say temporary "$(try_disk "${TMPDIR:-/tmp}")"
quota=none
for program in quota lfs mmlsquota /usr/lpp/mmfs/bin/mmlsquota; do
    ! command -v "$program" >/dev/null 2>&1 || quota=asked
done
say quota "$quota"
quotas "$HOME" "${place:-/}"
