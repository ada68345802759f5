"""The configuration of a compute node's sshd: whom it lets in, and the environment of the job.

Python 3.6 is enough.
"""

import os
import pwd
import re
from pathlib import Path
from typing import Dict, Mapping

__all__ = ["session_variables", "write_configuration"]

# What belongs to the login that has submitted the job, or is set by each login itself.
_OF_ONE_LOGIN = re.compile(
    r"SSH_.*|USER|LOGNAME|SHELL|PWD|OLDPWD|SHLVL|_|TERM|COLORTERM|MAIL|HOSTNAME|DISPLAY|XAUTHORITY|"
    r"XDG_RUNTIME_DIR|XDG_SESSION_.*|DBUS_.*|TMUX.*|STY|LAB_.*|BASH_FUNC_.*|SLURM_JOB_NAME"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VALUE = re.compile(r"[^\x00-\x1f\x7f\"\\]*")  # what every sshd takes between double quotes

_TEXT = """\
HostKey "{nodes}/host_key"
AuthorizedKeysFile "{expanded}/keys"
# The folder is the person's own, and only they can open the socket that leads here; a group that
# may write to their home directory, as on many clusters, changes nothing about that.
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
X11Forwarding no
PidFile none
PrintMotd no
PrintLastLog no
LogLevel ERROR
MaxSessions 100
AcceptEnv LANG LC_*
ClientAliveInterval 30
ClientAliveCountMax 3
Subsystem sftp internal-sftp
SetEnv {variables}
"""


def write_configuration(folder: Path, nodes: Path, job: Path) -> Path:
    """Write the configuration of sshd into a folder, and return its path.

    `nodes` is the folder with the keys, `job` that of the job.
    """
    path = folder / "sshd_config"
    variables = session_variables(os.environ, job)
    pairs = " ".join('"{}={}"'.format(name, value) for name, value in sorted(variables.items()))
    expanded = str(nodes).replace("%", "%%")  # of the two, sshd expands only the file of keys
    path.write_text(_TEXT.format(nodes=nodes, expanded=expanded, variables=pairs))
    return path


def session_variables(variables: Mapping[str, str], job: Path) -> Dict[str, str]:
    """Return the variables that every login finds: those of the job, whatever set them.

    sshd starts each login with an empty environment. What cannot be written is left out. Lightning
    takes a job called `interactive` for no run of several processes, whatever Slurm has set.
    """
    found = {
        name: value
        for name, value in variables.items()
        if _NAME.fullmatch(name) and _VALUE.fullmatch(value) and not _OF_ONE_LOGIN.fullmatch(name)
    }
    if found.get("HOME") == pwd.getpwuid(os.getuid()).pw_dir:
        del found["HOME"]
    found["SLURM_JOB_NAME"] = "interactive"
    found["LAB_NODE_JOB"] = str(job).rstrip("/")
    return found
