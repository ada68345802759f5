"""Stand-ins for programs of a version that no registry has any more.

Each answers that version, and refuses exactly what that lacked: the options are those that git's
documentation gained between the two versions. Everything else is done by the program of today.
"""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["openrsync", "stand_in_git"]

# What git 2.11 lacks of the commands that lab or its scripts start; `-` is git itself.
_LACKS_SINCE_2_11 = {
    "add": "--pathspec-from-file --renormalize --sparse",
    "cat-file": "--batch-command --mailmap --unordered",
    "checkout": "--guess --no-guess --overlay --no-overlay --pathspec-from-file "
    "--recurse-submodules --no-recurse-submodules",
    "config": "--default --fixed-value --show-scope --type --no-type --worktree",
    "diff-index": "--compact-summary --find-object --merge-base --no-relative --no-rename-empty",
    "diff-tree": "--compact-summary --diff-merges --find-object --merge-base --no-relative",
    "fetch": "--atomic --auto-maintenance --no-auto-maintenance --no-auto-gc --negotiate-only "
    "--no-show-forced-updates --no-write-fetch-head --porcelain --prune-tags --refetch --stdin "
    "--set-upstream --show-forced-updates --write-fetch-head",
    "grep": "--column --max-count --only-matching --recurse-submodules --recursive",
    "init": "--initial-branch --object-format -b",
    "log": "--diff-merges --exclude-hidden --filter --no-commit-header --no-relative "
    "--since-as-filter",
    "ls-files": "--deduplicate --format --sparse",
    "ls-tree": "--format --object-only",
    "merge": "--autostash --no-autostash --continue --quit --no-verify",
    "merge-tree": "--write-tree --name-only",
    "push": "--force-if-includes",
    "read-tree": "--quiet --recurse-submodules --no-recurse-submodules",
    "rev-list": "--disk-usage --exclude-hidden --filter --missing --no-commit-header",
    "rev-parse": "--absolute-git-dir --is-shallow-repository --path-format --show-object-format "
    "--show-superproject-working-tree",
    "rm": "--pathspec-from-file --sparse",
    "show": "--compact-summary --diff-merges --no-relative",
    "stash": "--staged --only-untracked --pathspec-from-file",
    "status": "--ahead-behind --no-ahead-behind --find-renames --no-renames --show-stash",
    "symbolic-ref": "--no-recurse --recurse",
    **dict.fromkeys(("maintenance", "restore", "sparse-checkout", "switch", "range-diff"), "*"),
}
_GIT = """\
#!/bin/sh
# A stand-in for git {version}.
unset GIT_CONFIG_COUNT GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM
lacks() {{
    case $1 in
{lacking}
    esac
}}
command='' value='' ended=''
for word; do
    shift
    if [ -n "$value" ]; then
        value=''
        case $word in
        url.*) # all letters of a setting's name become small ones
            word=$(printf '%s' "${{word%%=*}}" | tr '[:upper:]' '[:lower:]')=${{word#*=}}
            ;;
        esac
    elif [ -n "$command" ]; then
        [ "$word" != -- ] || ended=yes
        [ -n "$ended" ] || case " $(lacks "$command") " in
        *" ${{word%%=*}} "*)
            # That command prints what it does not know.
            [ "$command" != rev-parse ] || {{ printf '%s\\n' "$word"; exit; }}
            echo "error: unknown option \\`${{word#--}}'" >&2
            exit 129
            ;;
        *" * "*)
            echo "git: '$command' is not a git command. See 'git --help'." >&2
            exit 1
            ;;
        esac
    else
        case " $(lacks -) " in
        *" $word "*) echo "Unknown option: $word" >&2; exit 129 ;;
        esac
        case $word in
        -c | -C | --git-dir | --work-tree | --namespace) value=yes ;;
        --version | version) echo 'git version {version}'; exit ;;
        -*) ;;
        *)
            command=$word
            case " $(lacks "$command") " in
            *" * "*)
                echo "git: '$command' is not a git command. See 'git --help'." >&2
                exit 1
                ;;
            esac
            ;;
        esac
    fi
    set -- "$@" "$word"
done
[ "$command" = rev-parse ] || exec {real} -c init.defaultBranch=master "$@"
{{ said=$({real} "$@" 2>&1 >&3 3>&-); }} 3>&1
code=$?
[ -z "$said" ] || printf '%s\n' "$said" | sed 's/^fatal: not a /fatal: Not a /' >&2
exit $code
"""


def stand_in_git(folder: Path, version: str = "2.11.0") -> Path:
    """Make a stand-in for that git in a folder, and return the folder.

    Before 1.8.5 there was no -C either.
    """
    lacking = dict(_LACKS_SINCE_2_11)
    if version.startswith("1."):
        lacking["-"] = "-C"
    cases = "\n".join(f"    {name}) echo '{words}' ;;" for name, words in lacking.items())
    _write(folder / "git", _GIT.format(version=version, lacking=cases, real=shutil.which("git")))
    return folder


def openrsync(folder: Path) -> Path:
    """Make a stand-in for the rsync of macOS in a folder, and return the folder.

    It has another protocol, and none of the options that came after rsync 2.6.9.
    """
    _write(
        folder / "rsync",
        "#!/bin/sh\n"
        '[ "$1" != --version ] || { printf \'openrsync: protocol version 29\\nrsync version 2.6.9 '
        "compatible\\n'; exit; }\n"
        'for word; do case $word in -s | --protect-args | --secluded-args) echo "rsync: '
        'unrecognized option $word" >&2; exit 1 ;; esac; done\n'
        f'exec {shutil.which("rsync")} "$@"\n',
    )
    return folder


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.parent.chmod(0o755)
    path.chmod(0o755)
