"""What `--hosts` and a quick first step need of torch: in the installed one, and the oldest."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, TOOL, BakedProject
from environment import LabEnvironment
from filelock import FileLock

from ml_remote.runs.launchers.torchrun import TORCH_NAMES

LAUNCH = TOOL / "ml_remote" / "far" / "env" / "launch.py"
# Where a class of ours or a call of launch.py relies on more than the name: module, class, what of
# it. TCPStore is written in C++; its stub says what it takes.
MEMBERS = (
    (
        "torch.distributed.elastic.rendezvous.c10d_rendezvous_backend",
        "C10dRendezvousBackend",
        {"__init__", "name", "get_state", "set_state"},
    ),
    (
        "torch.distributed.launcher.api",
        "LaunchConfig",
        {
            "min_nodes",
            "max_nodes",
            "nproc_per_node",
            "run_id",
            "rdzv_backend",
            "rdzv_endpoint",
            "rdzv_configs",
            "max_restarts",
            "monitor_interval",
            "local_addr",
        },
    ),
)
# The public functions that update weights; torch's classes import the compiler, for seconds.
UPDATES = {
    "adamw": "params grads exp_avgs exp_avg_sqs max_exp_avg_sqs state_steps fused amsgrad beta1 "
    "beta2 lr weight_decay eps maximize",
    "sgd": "params d_p_list momentum_buffer_list fused weight_decay momentum lr dampening "
    "nesterov maximize",
}
STORE = {"host_name", "port", "is_master", "multi_tenant", "timeout", "master_listen_fd"}

Read = Callable[[str], str]
"""Returns the text of a file of torch by its path, such as `torch/distributed/__init__.py`."""


def names_in(source: str) -> set[str]:
    """Return every name that a module defines or imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def class_in(source: str, name: str) -> ast.ClassDef:
    (found,) = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and node.name == name
    ]
    return found


def module_of(read: Read, name: str) -> str:
    """Return the source of a module or package."""
    path = name.replace(".", "/")
    try:
        return read(f"{path}.py")
    except (KeyError, FileNotFoundError):
        return read(f"{path}/__init__.py")


def check(read: Read) -> None:
    """Fail when a torch lacks something that launch.py needs."""
    for module, names in TORCH_NAMES.items():
        missing = set(names) - names_in(module_of(read, module))
        assert not missing, f"{module} lacks {missing}"
    for module, name, members in MEMBERS:
        found = names_in(ast.unparse(class_in(module_of(read, module), name)))
        assert members <= found, f"{name} lacks {members - found}"
    for name, words in UPDATES.items():
        tree = ast.parse(read(f"torch/optim/{name}.py"))
        (update,) = [
            node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name
        ]
        taken = {node.arg for node in ast.walk(update) if isinstance(node, ast.arg)}
        assert set(words.split()) <= taken, f"{name} takes {taken}"
        (public,) = [
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        ]
        assert name in public
    store = class_in(read("torch/_C/_distributed_c10d.pyi"), "TCPStore")
    arguments = {node.arg for node in ast.walk(store) if isinstance(node, ast.arg)}
    assert arguments >= STORE


def test_what_is_written_down_is_what_launch_imports() -> None:
    imported: dict[str, tuple[str, ...]] = {}
    for node in ast.walk(ast.parse(LAUNCH.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch"):
            imported[node.module or ""] = tuple(alias.name for alias in node.names)
    assert imported == TORCH_NAMES


@pytest.mark.slow
def test_installed_torch_has_all_of_it(environment: LabEnvironment) -> None:
    done = environment.project.run(
        environment.python, "-c", "import torch; print(torch.__path__[0])"
    )
    folder = Path(done.stdout.strip()).parent
    check(lambda path: (folder / path).read_text(encoding="utf-8"))


@pytest.mark.slow
def test_oldest_torch_has_all_of_it(default_project: BakedProject) -> None:
    (oldest,) = re.findall(r'"torch>=([0-9.]+)"', default_project.read("pyproject.toml"))
    with zipfile.ZipFile(_wheel_of_torch(f"{oldest}.0")) as wheel:
        check(lambda path: wheel.read(path).decode())


def _wheel_of_torch(version: str) -> Path:
    """Download the smallest build of a version, that for macOS; all have the same Python files."""
    folder = TEMPLATE_ROOT / "build" / "oldest-torch"
    with FileLock(TEMPLATE_ROOT / "build" / "oldest-torch.lock"):
        if not list(folder.glob(f"torch-{version}-*.whl")):
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
                    *("--only-binary=:all:", "--platform=macosx_11_0_arm64"),
                    *("--python-version=3.12", f"--dest={folder}", f"torch=={version}"),
                ],
                capture_output=True,
                text=True,
            )
            if done.returncode != 0:
                pytest.skip(f"torch {version} could not be downloaded: {done.stderr[-200:]}")
    (wheel,) = folder.glob(f"torch-{version}-*.whl")
    return wheel
