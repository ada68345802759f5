"""Other people's Python and Jupyter do not get into a run or a session, whatever is set.

All rows are set at once. What is system-wide is put there in a mount namespace of the test's own.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from environment import LabEnvironment
from needs import need_program, need_root

from ml_remote.far.installed import FAR, install

VARIABLES = {
    "PYTHONPATH": "{other}",
    "PYTHONSTARTUP": "/nowhere",
    "PYTHONUSERBASE": "{other}",
    "PYTHONINSPECT": "1",
    "VIRTUAL_ENV": "{other}",
    "CONDA_PREFIX": "{other}",
    "CONDA_DEFAULT_ENV": "base",
    "MPLBACKEND": "TkAgg",
    "JUPYTER_TOKEN": "other",
    "JUPYTER_PORT": "9999",
    "JUPYTER_NO_CONFIG": "1",
    "JUPYTER_CONFIG_PATH": "{other}/jupyter",
    "JUPYTER_GATEWAY_URL": "http://127.0.0.1:1",
    "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/",
    "JUPYTERHUB_API_TOKEN": "other",
    "JUPYTERLAB_DIR": "/nowhere",
}
SYSTEM_WIDE = """\
c.ServerApp.base_url = "/user/ada/"
c.ServerApp.port = 1234
c.ServerApp.ip = "0.0.0.0"
c.ServerApp.token = "other"
c.IdentityProvider.token = "other"
c.ServerApp.password = "argon2:other"
c.ServerApp.certfile = "/nowhere"
c.ServerApp.allow_root = False
c.MultiKernelManager.default_kernel_name = "other"
"""
LAB = """\
# %%
import sys
import matplotlib
import numpy
print("prefix", sys.prefix)
print("numpy", numpy.__file__)
print("backend", matplotlib.get_backend())
"""
# Prints what the session answers whose private directory is the argument.
ASK_ONCE = """\
import socket
import sys
from pathlib import Path

folder = Path(sys.argv[1])
asking = socket.socket(socket.AF_UNIX)
asking.connect(str(folder / "socket"))
path = "/api/kernelspecs?token=" + (folder / "token").read_text()
asking.sendall(f"GET {path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n".encode())
answered = b"".join(iter(lambda: asking.recv(65536), b""))
print(answered.partition(b"\\r\\n\\r\\n")[2].decode())
"""
# Asks the session that the file $1 names, once it listens.
ASK = """\
mount --bind "$2" /usr/local/etc || exit 9
"$3" "$4" serve jupyter --idle-hours 1 >"$5" 2>&1 &
served=$!
for second in $(seq 100); do
    [ -s "$1" ] && "$3" -I "$6" "$(cat "$1")" 2>/dev/null && break
    kill -0 "$served" || break
    sleep 1
done
kill "$served"
wait
"""


def strange(folder: Path) -> dict[str, str]:
    """Return the variables, and make what they lead to."""
    other = folder / "other"
    (other / "numpy").mkdir(parents=True)
    (other / "numpy" / "__init__.py").write_text("raise SystemExit('another numpy')\n")
    kernel = folder / ".local" / "share" / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    specification = {"argv": ["false"], "display_name": "Mine", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(specification))
    values = {name: value.format(other=other) for name, value in VARIABLES.items()}
    return {**os.environ, **values, "HOME": str(folder)}


def new_project(folder: Path) -> Path:
    """Make a folder that counts as a project; return the far half in it."""
    (folder / "labs").mkdir(parents=True)
    (folder / "lab.toml").touch()
    (folder / "labs" / "small.py").write_text(LAB)
    return install(folder / FAR)


@pytest.mark.slow
def test_run_has_the_environment_alone(environment: LabEnvironment, tmp_path: Path) -> None:
    far = new_project(tmp_path / "project")
    done = subprocess.run(
        [environment.python, far, "headless", "labs/small.py"],
        cwd=tmp_path / "project",
        env=strange(tmp_path / "home"),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    prefix = os.path.realpath(environment.project.path / ".venv")
    assert f"prefix {prefix}\n" in done.stdout
    assert f"numpy {prefix}/" in done.stdout
    assert "inline" in done.stdout.partition("backend")[2]


@pytest.mark.slow
def test_session_has_its_own_token_address_and_kernel(
    environment: LabEnvironment, tmp_path: Path
) -> None:
    need_root("mount a folder")
    need_program("unshare")
    project = tmp_path / "project"
    far, log, announced = new_project(project), tmp_path / "log", tmp_path / "session"
    configuration = tmp_path / "etc" / "jupyter"
    configuration.mkdir(parents=True)
    (configuration / "jupyter_server_config.py").write_text(SYSTEM_WIDE)
    (tmp_path / "ask.py").write_text(ASK_ONCE)
    words = [announced, configuration.parent, environment.python, far, log, tmp_path / "ask.py"]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", ASK, "sh", *words],
        cwd=project,
        env={**strange(tmp_path / "home"), "LAB_JOB_FOLDER": str(tmp_path)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=200,
    )
    assert done.stdout.startswith("{"), log.read_text() + done.stderr
    answered = json.loads(done.stdout)
    assert answered["default"] == "python3"
    assert answered["kernelspecs"]["python3"]["spec"]["argv"][1] == str(far)
