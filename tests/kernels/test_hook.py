"""The hook in the environment: what it replaces, and what happens if anything is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from kernels.driving import ExtensionHost, KernelProject
from kernels.projects import NEWEST, make_project
from tool_helpers import wait_until

from ml_remote.far.login import kernels
from ml_remote.far.login.environment.hook import update_hook

NewHost = Callable[..., ExtensionHost]
ENDS = "This kernel ends with its window: "


def test_hook_is_put_into_an_environment_and_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "python3.12" / "site-packages"
    folder.mkdir(parents=True)
    (tmp_path / "lib" / "python3.1").symlink_to("python3.12")  # as conda has it
    (folder / "other.pth").write_text("/elsewhere\n")
    for _ in range(2):
        update_hook(tmp_path, Path("/it's here"), wanted=True)
    assert {path.name for path in folder.iterdir()} == {
        "lab_kernel.pth",
        "lab_kernel.py",
        "other.pth",
    }
    assert "it's here" in (folder / "lab_kernel.pth").read_text()
    before = (folder / "lab_kernel.py").stat().st_ino
    update_hook(tmp_path, Path("/moved"), wanted=True)
    assert "/moved" in (folder / "lab_kernel.pth").read_text()
    assert (folder / "lab_kernel.py").stat().st_ino == before
    for _ in range(2):
        update_hook(tmp_path, Path("/moved"), wanted=False)
    assert [path.name for path in folder.iterdir()] == ["other.pth"]


@pytest.mark.slow
def test_other_programs_do_not_load_the_hook(project: KernelProject) -> None:
    python = str(project.python)
    for words in (["-c", "pass"], ["-m", "this"], ["-m", "ipykernel", "--version"]):
        command = [python, "-X", "importtime", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "site" in done.stderr
        assert "lab_kernel" not in done.stderr
    # JupyterLab, papermill and nbconvert write `-f FILE`, and end kernels by messages.
    for words in (["--version"], ["-f", "kernel-v3ab.json", "--version"], ["--f=a.json", "--help"]):
        command = [python, "-X", "importtime", "-m", "ipykernel_launcher", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "ipykernel.kernelapp" in done.stderr  # by this very process


@pytest.mark.slow
def test_installing_packages_leaves_the_hook_alone(
    project: KernelProject, new_host: NewHost
) -> None:
    words = ["install", "--quiet", "--python", str(project.python), "--reinstall", "ipykernel"]
    subprocess.run(["uv", "pip", *words], check=True)
    host = new_host()
    host.open(project.lab("installed"))
    host.run("x = 1")
    host.close()
    assert project.kernel("installed")


def remove_far_half(project: KernelProject) -> None:
    shutil.rmtree(project.project.path / ".lab" / "far")


def break_proxy(project: KernelProject) -> None:
    _far(project, "proxy.py").write_text("raise RuntimeError('the proxy is broken')\n")


def break_kernel(project: KernelProject) -> None:
    _far(project, "kernel.py").write_text("raise SystemExit(1)\n")


def remove_module(project: KernelProject) -> None:
    _far(project, "messages.py").unlink()


def turn_off(project: KernelProject) -> None:
    (project.project.path / "lab.toml").write_text("[sessions]\nkeep_kernels = false\n")


def close_private_folder(project: KernelProject) -> None:
    path = project.project.path / ".lab/far/current/ml_remote/far/login/kernels.py"
    path.write_text(path.read_text().replace('("/tmp", "/var/tmp")', '("/proc", "/sys")'))


def _far(project: KernelProject, name: str) -> Path:
    return project.project.path / ".lab/far/current/ml_remote/far/env/lasting" / name


BROKEN = {
    "no far half": (remove_far_half, "/.lab/far/current is missing."),
    "a broken proxy": (break_proxy, "the proxy is broken"),
    "a kernel that ends at once": (
        break_kernel,
        "the kernel that would outlive it does not start.",
    ),
    "half a far half": (remove_module, "No module named"),
    "no folder for kernels": (close_private_folder, "No folder of this machine can hold kernels."),
    "turned off": (turn_off, ""),
}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], KernelProject]:
    """Make projects to break."""
    return lambda: make_project(tmp_path_factory.mktemp("broken") / "project", "newest", NEWEST)


@pytest.mark.slow
@pytest.mark.parametrize(("breaks", "reason"), BROKEN.values(), ids=BROKEN)
def test_broken_hook_gives_a_plain_kernel_and_says_so_once(
    fresh: Callable[[], KernelProject],
    new_host: NewHost,
    breaks: Callable[[KernelProject], None],
    reason: str,
) -> None:
    project = fresh()
    breaks(project)
    host = new_host(project)
    opened = host.open(project.lab("broken"))
    said = host.run("import os, sys; print(os.getpid(), sys.prefix)").text
    first, *others = said.splitlines()
    if reason:
        assert first.startswith(ENDS)
        assert reason in first
        (first,) = others
    assert first == f"{opened['pid']} {project.python.parents[1].resolve()}"
    assert ENDS not in host.run("1").text
    os.kill(opened["pid"], 0)
    host.kill()  # a kernel that no window could find ends with the editor
    wait_until(lambda: not Path(f"/proc/{opened['pid']}").exists())
    assert kernels.list_kernels(str(project.project.path)) == []


@pytest.mark.slow
@pytest.mark.parametrize("text", [None, "not Python"], ids=["missing", "damaged"])
def test_broken_file_of_the_hook_gives_a_plain_kernel_and_is_named(
    fresh: Callable[[], KernelProject], new_host: NewHost, text: str | None
) -> None:
    project = fresh()
    (program,) = project.python.parents[1].glob("lib/python3*/site-packages/lab_kernel.py")
    program.unlink() if text is None else program.write_text(text)
    host = new_host(project)
    opened = host.open(project.lab("broken"))
    assert host.run("import os; print(os.getpid())").text == f"{opened['pid']}\n"
    host.call("leave", "window")
    assert "lab_kernel.pth" in host.ended()["said"]  # by Python itself


@pytest.mark.slow
def test_copy_of_a_project_has_kernels_of_its_own(
    fresh: Callable[[], KernelProject], new_host: NewHost
) -> None:
    project = fresh()
    hook = next(project.python.parents[1].glob("lib/python3*/site-packages/lab_kernel.pth"))
    hook.write_text(hook.read_text().replace(str(project.project.path), "/the/project/before"))
    host = new_host(project)
    host.open(project.lab("copied"))
    host.run("x = 1")
    assert project.kernel("copied").root == str(project.project.path)
    host.close()
    project.end_kernels()
