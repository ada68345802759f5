#!/bin/sh
# Make or update the project's environment, .venv; run it anywhere, as often as you like.
# lab.toml says with which manager (auto: conda, mamba or micromamba if there is one, else uv, else
# Python's own venv and pip) and which Python; lab.local.toml, if there is one, is stronger. With
# --check nothing is made: the exit code is 1 when there is something to do.
#
# The work is done by the tool's far half, .lab/far/current: it builds each change beside the
# environment that works, proves it, and then lets .venv lead to it. `lab setup` sends the far half
# and names it in LAB_FAR. Without that it comes from the folder of the tool that LAB_TOOL or
# lab.local.toml names, or in the version that lab.py pins, by git. Where it is not available, this script
# makes an environment where there is none, or adds to one in place; it never does more.
set -eu

project=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd -- "$project"

patience=${LAB_FETCH_SECONDS:-60} # for git to fetch the tool
record=.venv/lab-environment.json
incomplete=.lab/environment.incomplete lock=.lab/environment.lock
home=${HOME:-$(getent passwd "$(id -u)" 2>/dev/null | cut -d : -f 6)} # a service may have none
usual=$home/.local/bin:$home/bin:$home/.cargo/bin:/usr/local/bin:/opt/homebrew/bin
for folder in "$home" /opt; do
    for name in miniforge3 mambaforge miniconda3 anaconda3 conda; do
        usual=$usual:$folder/$name/condabin:$folder/$name/bin
    done
done
export PATH="$PATH:${LAB_PROGRAM_FOLDERS-$usual}"

say() { printf '%s\n' "$@"; }

fail() {
    printf 'Error: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
    exit 1
}

# setting TABLE NAME: the value of NAME in a table. `lab setup` leaves what lab.toml and lab.local.toml
# say together in .lab/settings.toml, which counts until one of them is newer.
setting() {
    set -- "$1" "$2" lab.local.toml lab.toml
    if [ -f .lab/settings.toml ] &&
        [ -z "$(find lab.local.toml lab.toml -newer .lab/settings.toml 2>/dev/null)" ]; then
        set -- "$1" "$2" .lab/settings.toml lab.local.toml
    fi
    for file in "$3" "$4"; do
        [ ! -f "$file" ] ||
            sed -n '/^\['"$1"'\]/,/^\[/ s/^'"$2"' *= *["'\'']\([^"'\'']*\)["'\''].*/\1/p' "$file"
    done | head -n 1
}

unwritable() { fail "$project/.lab cannot be written." "Check that the disk has space and the folder is yours."; }
has() { command -v "$1" >/dev/null 2>&1; }

# The interpreter of .venv: on Linux and macOS, on Windows, on Windows with conda.
interpreter() {
    for candidate in .venv/bin/python .venv/Scripts/python.exe .venv/python.exe; do
        [ ! -x "$candidate" ] || { printf '%s\n' "$project/$candidate" && return; }
    done
    printf '%s\n' "$project/.venv/bin/python"
}

# first_of NAME...: the first of these programs that is installed
first_of() {
    for program in "$@"; do
        ! has "$program" || { printf '%s\n' "$program" && return; }
    done
}

# any_python: a Python from 3.6 on, which is enough for the far half; uv brings one where there is none
any_python() {
    for program in python3 python python3.14 python3.13 python3.12 python3.11 "$(interpreter)"; do
        ! has "$program" || ! "$program" -c 'import sys; sys.exit(sys.version_info < (3, 6))' 2>/dev/null ||
            { printf '%s\n' "$program" && return; }
    done
    if has uv; then
        uv python install --quiet "$python" >&2 && uv python find "$python"
    elif has conda; then
        printf '%s/bin/python\n' "$(conda info --base)"
    fi
}

# without_far_half REASON: say what is missing; the environment is of use all the same.
without_far_half() {
    what="Labs cannot run headless yet"
    [ ! -e .lab/far/current/__main__.py ] || what="Labs run headless with another version of lab than this project's"
    say "$what: $1" \
        "To install what that needs, run \`lab setup\` on your laptop, or fix this and run this script again."
}

# within SECONDS COMMAND...: run a command that may neither ask for anything nor take longer
within() {
    "$base" - "$@" <<'END'
import os, signal, subprocess, sys

seconds, *command = sys.argv[1:]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
try:
    sys.exit(process.wait(float(seconds)))
except subprocess.TimeoutExpired:
    sys.exit(124)
finally:
    if process.poll() is None:  # with all that it has started
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
END
}

# fetch_tool URL COMMIT FOLDER: the source of the tool, in this version
fetch_tool() {
    rm -rf "$3"
    git init --quiet "$3" || return
    # Some servers hand out whole branches only.
    within "$patience" git -C "$3" fetch --quiet --depth 1 "$1" "$2" || {
        [ $? -ne 124 ] && within "$patience" git -C "$3" fetch --quiet "$1" '+refs/heads/*:refs/heads/*'
    } || return
    git -C "$3" -c advice.detachedHead=false checkout --quiet "$2"
}

# install_far_half FOLDER [COMMIT]: from the source of the tool in this folder
install_far_half() {
    source=$1/src
    shift
    PYTHONPATH=$source "$base" -B -m ml_remote.far install .lab/far "$@"
}

# is_current HASH COMMIT: whether .lab/far/current leads to that far half, of this commit of the tool
is_current() {
    [ -f .lab/far/current/__main__.py ] && [ "$(readlink .lab/far/current)" = "$1" ] &&
        [ "$(cat .lab/far/current.commit 2>/dev/null)" = "$2" ]
}

# Have .lab/far/current lead to the far half of the tool.
provide_far_half() {
    if [ -n "${LAB_FAR:-}" ]; then
        is_current "${LAB_FAR##*/}" "${LAB_FAR_COMMIT:-}" ||
            "$base" "$LAB_FAR" install .lab/far ${LAB_FAR_COMMIT:+"$LAB_FAR_COMMIT"} ||
            without_far_half "$LAB_FAR is not complete."
        return
    fi
    tool=${LAB_TOOL:-$(setting tool path)}
    case $tool in '~'/*) tool=$home/${tool#*/} ;; esac
    if [ -d "$tool/src/ml_remote/far" ]; then
        install_far_half "$tool" || without_far_half "$tool is not complete."
        return
    fi
    pin=$(sed -n 's/^# .*"ml-remote *@ *git+\([^"]*@[0-9a-f]\{40\}\)".*/\1/p' lab.py 2>/dev/null | head -n 1)
    commit=${pin##*@}
    if [ -e .lab/far/current/__main__.py ] &&
        { [ -z "$pin" ] || [ "$(cat .lab/far/current.commit 2>/dev/null)" = "$commit" ]; }; then
        return
    elif [ -z "$pin" ]; then
        without_far_half "${tool:+there is no tool in $tool, and }lab.py pins no version of it."
    elif ! has git; then
        without_far_half "git is not installed."
    elif ! (
        # Nobody may be there to answer.
        GIT_TERMINAL_PROMPT=0 GIT_ASKPASS=true SSH_ASKPASS=true SSH_ASKPASS_REQUIRE=never GCM_INTERACTIVE=never
        GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-ssh} -o BatchMode=yes -o ConnectTimeout=15"
        export GIT_TERMINAL_PROMPT GIT_ASKPASS SSH_ASKPASS SSH_ASKPASS_REQUIRE GCM_INTERACTIVE GIT_SSH_COMMAND
        fetch_tool "${pin%@*}" "$commit" ".lab/tool-$$" && install_far_half ".lab/tool-$$" "$commit"
    ); then
        without_far_half "git cannot fetch ${pin%@*}."
    fi
    rm -rf ".lab/tool-$$"
}

this_boot() { printf '%s %s' "$(cat /proc/sys/kernel/random/boot_id)" "$(readlink /proc/self/ns/pid)"; } 2>/dev/null

# started PROCESS: when it began; nothing once it has ended
started() { sed -n 's/^.*) \([^ZX] \)/\1/p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# holder: whose setup has the lock; nothing if it has ended
holder() {
    [ -s "$lock/owner" ] || sleep 1 # it may have been made just now
    host=$(uname -n) boot='' here=$(this_boot)
    read -r process owner 2>/dev/null <"$lock/owner" || return 0
    read -r _ began boot 2>/dev/null <"$lock/boot" || true
    case $owner:$boot in
    "$host:") [ -d "/proc/$process" ] || kill -0 "$process" 2>/dev/null || return 0 ;;
    *":$here") [ "$(started "$process")" = "$began" ] && owner=$host || return 0 ;;
    "$host:${here%% *} "*) owner="another container on $host" ;;
    "$host:"*) return 0 ;; # it was restarted since
    esac
    [ "$owner" != "$host" ] || owner=''
    printf 'process %s%s, since %s\n' "$process" "${owner:+ on $owner}" "$(date -r "$lock/owner" +%H:%M)"
}

# One run at a time, by the rule of the far half (lock.py): wait for another one that may not be over.
take_lock() {
    { mkdir -p .lab && { [ -e .lab/.gitignore ] || echo "*" >.lab/.gitignore; }; } 2>/dev/null || unwritable
    waited=0 told=''
    until mkdir "$lock" 2>/dev/null; do
        [ -e "$lock" ] || ! mkdir "$lock" 2>/dev/null || break # another setup has just ended
        [ -e "$lock" ] || unwritable
        who=$(holder)
        if [ -z "$who" ]; then # as a whole; another setup may be faster
            mv "$lock" "$lock.$$.gone" 2>/dev/null && rm -rf "$lock.$$.gone"
            continue
        fi
        [ "$waited" -lt "${LAB_WAIT_SECONDS:-3600}" ] || fail "Another setup is already running ($who)." \
            "Wait for it, or end it. If it is no longer running: rm -r $lock"
        [ "$who" = "$told" ] || say "Waiting for the setup that is already running ($who) ..."
        told=$who waited=$((waited + 1))
        sleep 1
    done
    trap 'rm -rf "$lock"' EXIT
    trap 'exit 130' INT && trap 'exit 143' TERM HUP
    [ ! -r /proc/self/ns/pid ] || printf '%s %s %s\n' "$$" "$(started $$)" "$(this_boot)" >"$lock/boot"
    touch "$lock/sign"
    printf '%s %s\n' "$$" "$(uname -n)" >"$lock/owner"
    while sleep 10 && kill -0 $$; do touch -c "$lock/sign"; done >/dev/null 2>&1 &
}

recorded() { sed -n 's/.*"'"$1"'": "\([^"]*\)".*/\1/p' "$record" 2>/dev/null | head -n 1; }

# listed KEY: the items of a list in environment.yml, without comments and quotes
listed() {
    tr -d '\r' <environment.yml | sed 's/^#.*//; s/[[:blank:]]#.*//; s/[[:blank:]]*$//' |
        sed -n '/^ *-* *'"$1"':$/,/:$/ s/^ *- *\(.*[^:]\)$/\1/p' | sed 's/^\(["'\'']\)\(.*\)\1$/\2/'
}

# install MANAGER: what the lists ask for, into .venv, which is made if it is not there
install() {
    case $1 in
    mamba | micromamba | conda)
        # These words mean the same to all of them, and keep a person's other channels out.
        [ -n "$(listed dependencies)" ] || fail "environment.yml has no package on a line of its own, such as: - numpy>=1.26"
        rmdir .venv 2>/dev/null || true
        set -f
        # shellcheck disable=SC2046 # one word for each
        CONDA_SAFETY_CHECKS=enabled "$1" "$make" --yes --prefix "$project/.venv" --override-channels \
            $(listed channels | sed '/^nodefaults$/d; s/^/--channel=/') \
            $(listed dependencies | sed 's/ *\([<>=!~,][<>=!~,]*\) */\1/g; s/  */=/g')
        set +f
        [ -z "$(listed pip)" ] || listed pip | "$(interpreter)" -m pip install --requirement /dev/stdin
        "$(interpreter)" -m pip install --no-deps --no-build-isolation --editable .
        ;;
    uv)
        [ -x "$(interpreter)" ] || uv venv --allow-existing --python "$python" .venv ||
            uv venv --allow-existing --python '>=3.11' .venv
        # shellcheck disable=SC2086 # two words, or none
        uv pip install --python "$(interpreter)" ${locked:-} --editable '.[lab,dev]'
        ;;
    venv)
        [ -x "$(interpreter)" ] || "$base" -m venv .venv
        # shellcheck disable=SC2086
        "$(interpreter)" -m pip install --disable-pip-version-check ${locked:-} --editable '.[lab,dev]'
        ;;
    *) fail "lab.toml says manager = \"$1\". It can be auto, conda, mamba, micromamba, uv or venv." ;;
    esac
}

# alone [--check]: without the far half: make an environment where there is none, or add to it
alone() {
    [ "${1:-}" = --check ] || take_lock
    sum=$(cat environment.yml pyproject.toml requirements.lock 2>/dev/null | cksum)
    [ -e .venv ] || [ "${1:-}" = --check ] || case $(readlink .venv) in .lab/envs/*) rm .venv ;; esac # as after `rm -r .lab`
    manager=$(recorded manager)
    if [ -n "$manager" ] && [ ! -e "$incomplete" ] && "$(interpreter)" -c 'import torch' 2>/dev/null; then
        if [ "$(recorded alone)" = "$sum" ]; then
            say "The environment is up to date: $(recorded device)"
            return
        fi
        make=install
    elif [ ! -e .venv ] && [ ! -L .venv ] || { [ -d .venv ] && { [ -e "$incomplete" ] || [ -z "$(ls -A .venv)" ]; }; }; then
        manager=$(setting environment manager)
        if [ "${manager:-auto}" = auto ]; then
            manager=$(first_of mamba micromamba conda uv)
        elif [ "$manager" != venv ] && ! has "$manager"; then
            fail "lab.toml asks for $manager, which is not installed here." \
                "Install it, or set manager = \"auto\" in lab.toml."
        fi
        make=create
    elif [ "${1:-}" != --check ]; then
        fail ".venv does not work, or lab did not make it, and this script alone does not replace it." \
            "Run \`lab setup\` on your laptop, or remove .venv if nobody needs it."
    fi
    [ "${1:-}" != --check ] || { say "The environment is not up to date." && exit 1; }
    manager=${manager:-venv}
    say "Manager: $manager. This script alone changes .venv in place."
    [ "$make" = install ] || touch "$incomplete"
    locked=$([ ! -f requirements.lock ] || say "--constraint requirements.lock")
    install "$manager"
    device=$("$(interpreter)" -c 'import sys, torch
print("Python", sys.version.split()[0] + ", torch", torch.__version__)') ||
        fail "torch was installed but cannot be imported." "Run \`lab setup\` on your laptop."
    printf '{"manager": "%s", "python": "%s", "device": "%s", "alone": "%s", "complete": true}\n' \
        "$manager" "$python" "$device" "$sum" >"$record"
    rm -f "$incomplete"
    [ ! -f scripts/sync_pairs.py ] || "$(interpreter)" scripts/sync_pairs.py --missing
    say "The environment is complete: $device"
}

# What would lead to another Python, put the packages elsewhere, or have git take another repository.
unset VIRTUAL_ENV CONDA_PREFIX CONDA_DEFAULT_ENV PYTHONHOME PYTHONPATH PYTHONUSERBASE UV_PYTHON UV_PROJECT UV_SYSTEM_PYTHON \
    PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_COMMON_DIR
export PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0
python=$(setting environment python)
python=${python:-3.12}
base=$(any_python) || fail "This machine has no Python 3.6 or newer that runs, and none could be brought."
[ -n "$base" ] || [ -n "$(first_of mamba micromamba)" ] || fail "This machine has no Python 3.6 or newer, no conda and no uv." \
    "uv brings its own Python, without an administrator: curl -LsSf https://astral.sh/uv/install.sh | sh"
# What was sent is only linked to; fetching is more than a check.
if [ -n "$base" ] && { [ "${1:-}" != --check ] || [ -n "${LAB_FAR:-}" ]; }; then
    provide_far_half
fi
if [ -n "$base" ] && [ -f .lab/far/current/__main__.py ]; then
    exec "$base" .lab/far/current environment "$@"
fi
export PYTHONNOUSERSITE=1
alone "$@"
