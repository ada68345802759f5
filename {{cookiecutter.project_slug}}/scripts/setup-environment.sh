#!/bin/sh
# Make or update the project's environment in .venv. Run it anywhere, as often as you like:
#
#   sh scripts/setup-environment.sh
#
# lab.toml says with which manager (auto: conda, mamba or micromamba if there is one, else uv, else
# Python's own venv and pip) and which Python; lab.local.toml, if there is one, is stronger. A run with
# nothing to do takes about a second; one that was interrupted is completed by the next. Nothing but
# this script ever changes .venv. With --check nothing is made: the exit code is 1 when there is
# something to do.
#
# What runs labs headless belongs to the tool: its far half, to which .lab/far/current leads. `lab
# setup` sends it and names it in LAB_FAR. Without that it comes from the folder of the tool that
# LAB_TOOL or lab.local.toml names, or in the version that lab.py pins, by git.
set -eu

project=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd -- "$project"

oldest_python=3.11
needed_gib=${LAB_MINIMUM_FREE_GB:-8} # 5.8 measured for a CUDA build of torch on Linux, and some room
patience=${LAB_FETCH_SECONDS:-60}    # for git to fetch the tool
stamp=.venv/.lab-environment         # fingerprint, manager and device; written when all is done
incomplete=.lab/environment.incomplete
lock=.lab/environment.lock

say() {
    printf '%s\n' "$@"
}

# step NUMBER HEADING: say which of four steps begins; `lab setup` asks for it as a line of JSON
step() {
    format='[%d/4] %s\n'
    [ "${LAB_PROGRESS:-}" != json ] ||
        format='{"event": "step", "number": %d, "of": 4, "heading": "%s"}\n'
    # shellcheck disable=SC2059 # both formats are above
    printf "$format" "$1" "$2"
}

fail() {
    printf 'Error: %s\n' "$1" >&2
    shift
    for line in "$@"; do
        printf '  %s\n' "$line" >&2
    done
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
        if [ -f "$file" ]; then
            sed -n '/^\['"$1"'\]/,/^\[/ s/^'"$2"' *= *["'\'']\([^"'\'']*\)["'\''].*/\1/p' "$file"
        fi
    done | head -n 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# The interpreter of .venv: on Linux and macOS, on Windows, on Windows with conda.
interpreter() {
    for candidate in .venv/bin/python .venv/Scripts/python.exe .venv/python.exe; do
        if [ -x "$candidate" ]; then
            printf '%s\n' "$project/$candidate"
            return
        fi
    done
    printf '%s\n' "$project/.venv/bin/python"
}

# first_of NAME...: the first of these programs that is installed
first_of() {
    for program in "$@"; do
        if has "$program"; then
            printf '%s\n' "$program"
            return
        fi
    done
}

choose_manager() {
    case $1 in
    auto)
        chosen=$(first_of mamba micromamba conda uv)
        printf '%s\n' "${chosen:-venv}"
        ;;
    conda)
        chosen=$(first_of conda mamba micromamba)
        [ -n "$chosen" ] || fail "lab.toml asks for conda, and there is no conda, mamba or micromamba here." \
            "Install Miniforge (https://conda-forge.org/download/), or set manager = \"auto\" in lab.toml."
        printf '%s\n' "$chosen"
        ;;
    mamba | micromamba | uv)
        has "$1" || fail "lab.toml asks for $1, which is not installed here." \
            "Install it, or set manager = \"auto\" in lab.toml." \
            "uv needs no administrator: curl -LsSf https://astral.sh/uv/install.sh | sh"
        printf '%s\n' "$1"
        ;;
    venv) printf 'venv\n' ;;
    *) fail "lab.toml says manager = \"$1\". It can be auto, conda, mamba, micromamba, uv or venv." ;;
    esac
}

# One run at a time: a lock that a killed run left behind is taken over.
take_lock() {
    mkdir -p .lab
    if ! mkdir "$lock" 2>/dev/null; then
        owner=$(cat "$lock/owner" 2>/dev/null || true)
        owner_pid=${owner%% *}
        owner_host=${owner#* }
        if [ -n "$owner" ] && [ "$owner_host" != "$(uname -n)" ]; then
            fail "The environment is being set up from $owner_host (process $owner_pid)." \
                "If that is over: rm -r $lock"
        fi
        if [ -n "$owner" ] && kill -0 "$owner_pid" 2>/dev/null; then
            fail "The environment is being set up already (process $owner_pid). Wait for it."
        fi
        rm -rf "$lock"
        mkdir "$lock"
    fi
    trap 'rm -rf "$lock"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    printf '%s %s\n' "$$" "$(uname -n)" >"$lock/owner"
}

# Empty .venv without removing the folder itself: in a dev container a volume is mounted there.
empty_environment() {
    if [ -d .venv ]; then
        find .venv -mindepth 1 -maxdepth 1 -exec rm -rf {} +
    fi
}

is_empty() {
    [ ! -d "$1" ] || [ -z "$(ls -A "$1")" ]
}

# A .venv that this script did not make is somebody's work: it is kept under another name.
set_foreign_environment_aside() {
    if is_empty .venv || [ -e "$stamp" ] || [ -e "$incomplete" ]; then
        return
    fi
    kept=.venv-$(date +%Y-%m-%d_%H-%M-%S)
    mv .venv "$kept" || fail ".venv was made by something else and cannot be moved away." \
        "Move it yourself, then run this again."
    say "The .venv that was here was not made by this script; it is kept as $kept."
}

check_disk() {
    place=. used_kib=0
    if [ -d .venv ]; then
        place=.venv # in a dev container that is a volume, on a disk of its own
        used_kib=$(du -sk .venv | awk '{print $1}')
    fi
    free_kib=$(df -Pk "$place" | tail -n 1 | awk '{print $4}')
    if [ $((free_kib + used_kib)) -lt $((needed_gib * 1024 * 1024)) ]; then
        fail "The environment needs $needed_gib GB of disk, and $((free_kib / 1024 / 1024)) GB are free in $project." \
            "Make room, or put the project on another disk ([remote] folder in lab.toml)." \
            "If you know that less is enough: LAB_MINIMUM_FREE_GB=3 sh scripts/setup-environment.sh"
    fi
}

# python_for_venv VERSION: a Python that can make the environment: the wanted one, else the system's
python_for_venv() {
    for program in "python$1" python3 python; do
        if has "$program" && "$program" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$program"
            return
        fi
    done
}

make_with_conda() {
    tool=$1
    if [ -d .venv/conda-meta ]; then
        case $tool in
        micromamba) micromamba install --yes --prefix .venv --file environment.yml ;;
        *) "$tool" env update --prefix .venv --file environment.yml --prune ;;
        esac
    else
        rmdir .venv 2>/dev/null || true
        case $tool in
        micromamba) micromamba create --yes --prefix .venv --file environment.yml ;;
        conda) conda env create --prefix .venv --file environment.yml ;;
        mamba) mamba env create --yes --prefix .venv --file environment.yml ;;
        esac
    fi
    "$(interpreter)" -m pip install --no-deps --no-build-isolation --editable .
}

make_with_uv() {
    if [ ! -x "$(interpreter)" ]; then
        if ! uv venv --allow-existing --python "$python" .venv; then
            empty_environment
            say "Python $python cannot be had here; any from $oldest_python on will do."
            uv venv --allow-existing --python ">=$oldest_python" .venv ||
                fail "uv finds no Python from $oldest_python on, and could not fetch one."
        fi
    fi
    uv pip install --python "$(interpreter)" --editable '.[lab,dev]'
}

make_with_venv() {
    if [ ! -x "$(interpreter)" ]; then
        base=$(python_for_venv "$python")
        [ -n "$base" ] || fail "There is no Python from $oldest_python on, no conda and no uv here." \
            "uv brings its own Python, without an administrator: curl -LsSf https://astral.sh/uv/install.sh | sh"
        say "Neither conda nor uv is here; $("$base" --version) makes the environment."
        "$base" -m venv .venv || fail "$base cannot make virtual environments." \
            "On Debian and Ubuntu: sudo apt install python3-venv" \
            "or, without an administrator, install uv: curl -LsSf https://astral.sh/uv/install.sh | sh"
    fi
    "$(interpreter)" -m pip install --disable-pip-version-check --editable '.[lab,dev]'
}

# The notebooks beside the labs are not in git; make those that are missing.
make_missing_notebooks() {
    for script in labs/*.py; do
        if [ ! -e "${script%.py}.ipynb" ]; then
            "$(interpreter)" scripts/sync_pairs.py --missing
            return
        fi
    done
}

# without_far_half REASON: say what is missing; the environment is of use all the same.
without_far_half() {
    what="Labs cannot run headless yet"
    [ ! -e .lab/far/current/__main__.py ] || what="Labs run headless by another version of lab than this project's"
    say "$what: $1" \
        "To get what that needs, run \`lab setup\` on your laptop, or fix this and run this script again."
}

# within SECONDS COMMAND...: run a command that may neither ask for anything nor take longer
within() {
    "$(interpreter)" - "$@" <<'END'
import os
import signal
import subprocess
import sys

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
    PYTHONPATH=$source "$(interpreter)" -B -m ml_remote.far install .lab/far "$@"
}

# Have .lab/far/current lead to the far half of the tool.
provide_far_half() {
    if [ -n "${LAB_FAR:-}" ]; then
        "$(interpreter)" "$LAB_FAR" install .lab/far ${LAB_FAR_COMMIT:+"$LAB_FAR_COMMIT"} ||
            without_far_half "$LAB_FAR is not complete."
        return
    fi
    tool=${LAB_TOOL:-$(setting tool path)}
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
        fetch_tool "${pin%@*}" "$commit" .lab/tool && install_far_half .lab/tool "$commit"
    ); then
        without_far_half "git cannot fetch ${pin%@*}."
    fi
    rm -rf .lab/tool
}

unset VIRTUAL_ENV CONDA_PREFIX PYTHONHOME
wanted=$(setting environment manager)
python=$(setting environment python)
python=${python:-3.12}
manager=$(choose_manager "${wanted:-auto}")
sum=$(cat environment.yml pyproject.toml scripts/setup-environment.sh | cksum)
fingerprint="$manager $python $sum $project"

if [ ! -e "$incomplete" ] && [ "$(sed -n 1p "$stamp" 2>/dev/null)" = "$fingerprint" ] &&
    "$(interpreter)" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)' 2>/dev/null; then
    make_missing_notebooks
    # What was sent is only linked to; fetching is more than a check.
    if [ "${1:-}" != --check ] || [ -n "${LAB_FAR:-}" ]; then
        provide_far_half
    fi
    say "The environment is up to date: $(sed -n 3p "$stamp")"
    exit 0
fi
if [ "${1:-}" = --check ]; then
    say "The environment is not up to date."
    exit 1
fi

take_lock
step 1 "Manager: $manager"
set_foreign_environment_aside
# What an interrupted run left cannot be trusted, nor what another manager made or stood elsewhere.
if [ -e "$incomplete" ] || [ "$(sed -n 2p "$stamp" 2>/dev/null)" != "$manager $project" ] ||
    ! "$(interpreter)" -c '' 2>/dev/null; then
    empty_environment
fi
check_disk
touch "$incomplete"

step 2 "Making .venv; this downloads several gigabytes the first time"
case $manager in
uv) make_with_uv ;;
venv) make_with_venv ;;
*) make_with_conda "$manager" ;;
esac

step 3 "Making the notebooks that are missing, and what runs labs headless"
make_missing_notebooks
provide_far_half

step 4 "Checking"
device=$(
    "$(interpreter)" - <<'END'
import sys

import torch

accelerator = torch.accelerator.current_accelerator(check_available=True)
name = "the CPU" if accelerator is None else accelerator.type
if torch.cuda.is_available():
    name = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
print(f"Python {sys.version.split()[0]}, torch {torch.__version__}, running on {name}")
END
) || fail "torch was installed but cannot be imported. Run this once more; it begins again from nothing." \
    "If that does not help, send the lines above to whoever looks after the machine."
printf '%s\n%s\n%s\n' "$fingerprint" "$manager $project" "$device" >"$stamp.new"
mv "$stamp.new" "$stamp"
rm -f "$incomplete"
say "The environment is complete: $device"
