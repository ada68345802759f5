"""What a setup fetches: failures in words, progress, caches, and uv itself."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import json
import os
import platform
import random
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from environment_events import Computer, Trial

from ml_remote.far.env.lasting.starting import kernel_variables
from ml_remote.far.login.caches import cache_variables, note_caches, read_caches
from ml_remote.far.login.environment import caches, install_uv
from ml_remote.far.login.environment.environments import Environments
from ml_remote.far.login.environment.failures import Failure, ManagerError
from ml_remote.far.login.environment.lists import find_lists
from ml_remote.far.login.environment.managers import MANAGERS, Work
from ml_remote.far.login.environment.progress import Progress
from ml_remote.far.login.environment.settings import Settings
from ml_remote.scripts import script


@pytest.fixture(scope="module")
def computer(tmp_path_factory: pytest.TempPathFactory) -> Computer:
    """Return packages, programs and the far half."""
    return Computer.new(tmp_path_factory.mktemp("computer"))


FAILURES = [
    ("uv", "cause: invalid peer certificate: UnknownIssuer", "does not trust the certificate"),
    ("venv", "SSLError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] failed: self-signed'", "not trust"),
    (
        "uv",
        "cause: invalid peer certificate: certificate not valid yet: verification time 1795840146",
        "this machine's clock",
    ),
    ("uv", "cause: invalid peer certificate: certificate expired: verification", "'s clock shows"),
    ("uv", "cause: invalid peer certificate: Expired", "this machine's clock"),
    (
        "venv",
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid",
        "this machine's clock",
    ),
    ("uv", "cause: tcp connect error\n  cause: Connection refused (os error 111)", "cannot reach"),
    ("uv", "cause: dns error\n  cause: failed to lookup address information", "cannot reach"),
    ("venv", "Failed to establish a new connection: [Errno -2] Name or service", "cannot reach"),
    ("uv", "cause: tunnel error: proxy authorization required", "The proxy refuses uv"),
    ("venv", "ProxyError('Cannot connect to proxy.', NewConnectionError('", "cannot reach the pro"),
    ("uv", "lack of valid authentication credentials (401 Unauthorized)", "name and a password"),
    ("uv", "returned a 403 Forbidden error. Check that the index URL", "name and a password"),
    ("venv", "username, password, save = self._prompt_for_password(", "name and a password"),
    (
        "uv",
        "HTTP status server error (503 Service Unavailable) for url",
        "package index has a problem",
    ),
    ("uv", "cause: Because nowhere was not found in the package registry", "called nowhere"),
    ("venv", "satisfies the requirement nowhere (from versions: none)", "called nowhere:"),
    ("uv", "cause: Because alpha==1.0 depends on beta>2, we can", "do not fit together"),
    ("uv", "failed to write: No space left on device (os error 28)", "disk where uv writes is"),
    (
        "venv",
        "ERROR: Could not install packages due to an OSError: [Errno 28] No",
        "disk where pip",
    ),
    ("uv", "File too large (os error 27)", "ulimit -f"),
]


@pytest.mark.parametrize(("manager", "text", "sentence"), FAILURES)
def test_failure_is_told_as_what_it_is(
    tmp_path: Path, manager: str, text: str, sentence: str
) -> None:
    work = Work(tmp_path, tmp_path / "e", find_lists(tmp_path), Settings())
    error = ManagerError(["uv"], 2, f"Using Python 3.12\n{text}\n")
    failure = MANAGERS[manager]("program").explain(error, work)
    assert failure is not None
    assert sentence in failure.sentence
    assert failure.hints


@pytest.mark.parametrize("source", ["", "requirements.txt"])
def test_list_that_lab_never_changes_is_named_in_what_to_do(tmp_path: Path, source: str) -> None:
    if source:
        (tmp_path / "source").write_text(f"{source}\n")
    work = Work(tmp_path, tmp_path / "e", find_lists(tmp_path), Settings())
    for text in (row[1] for row in FAILURES if "Because" in row[1] or "satisfies" in row[1]):
        failure = MANAGERS["uv"]("uv").explain(ManagerError(["uv"], 2, text), work)
        assert failure is not None
        said = " ".join(failure.hints)
        assert ("lab remove" in said or "lab lock" in said) != bool(source), said
        assert (source or "pyproject.toml") in said


def test_downloads_are_shown_in_packages_and_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    uv = Progress()
    lines = ["Resolved 40 packages in 2s", "Downloading torch (800.0MiB)"]
    lines += ["Downloading numpy (15.0MiB)", " Downloaded numpy", " Downloaded torch"]
    assert [uv.on_line(line) for line in lines] == [False, True, True, True, True]
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "1 of 2 packages, 0.0 of 0.9 GB: torch",
        "2 of 2 packages, 0.9 of 0.9 GB",
    ]
    pip = Progress()
    for line in ["Collecting torch", "  Downloading torch-2.9.0-cp312.whl (900.1 MB)"]:
        pip.on_line(line)
    pip.on_line("Collecting numpy")
    pip.on_line("  Downloading numpy-2.3.0-cp312.whl (16.6 MB)")
    assert capsys.readouterr().out.splitlines() == [
        "0 of 1 packages, 0.0 of 0.9 GB: torch",
        "1 of 2 packages, 0.9 of 0.9 GB: numpy",
    ]


def test_downloads_go_to_the_project_where_the_home_directory_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    for folder in (home, project / ".lab"):
        folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.delenv("UV_CACHE_DIR")
    free = {str(home): 1, str(project / ".lab"): 50}
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: usage._replace(free=free[path] * 1024**3)
    )
    monkeypatch.setattr(caches, "_device", lambda path: hash(path))
    assert caches.choose_cache(Environments(project), Settings()).cache == ".lab/cache"
    assert f"{home} has 1 GB free" in capsys.readouterr().out
    variables = caches.pip_variables(project, Settings(cache=".lab/cache"))
    assert variables["PIP_CACHE_DIR"] == str(project / ".lab/cache/pip")
    free[str(home)] = 40
    assert caches.choose_cache(Environments(project), Settings()).cache == ""
    assert caches.choose_cache(Environments(project), Settings(cache="/big")).cache == "/big"


def test_folder_for_downloads_that_nobody_can_write_into_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="the folder for downloads: Not a directory") as caught:
        caches.check_cache(tmp_path, Settings(cache="file/cache"))
    assert caught.value.hints[0].startswith("Name another folder in lab.toml")
    caches.check_cache(tmp_path, Settings(cache="new/cache"))
    assert (tmp_path / "new" / "cache").is_dir()


def test_folders_for_downloads_are_noted_for_what_is_started_later(tmp_path: Path) -> None:
    variables = cache_variables(tmp_path, "/scratch/tess's cache")
    assert variables["XDG_CACHE_HOME"] == "/scratch/tess's cache"
    assert variables["TORCH_HOME"] == "/scratch/tess's cache/torch"
    note_caches(tmp_path, variables)
    assert read_caches(tmp_path) == variables
    assert kernel_variables(tmp_path, {"HF_HOME": "/home"})["HF_HOME"] == variables["HF_HOME"]
    with (tmp_path / ".lab" / "caches").open("a") as file:
        file.write("PATH=/evil\nno pair\n")
    shown = subprocess.run(
        ["sh", "-c", f"{script('caches')}\nexec env"],
        cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert {f"{name}={value}" for name, value in variables.items()} <= set(shown)
    assert "PATH=/evil" not in shown
    assert "PATH" not in read_caches(tmp_path)
    note_caches(tmp_path, {})
    assert not (tmp_path / ".lab" / "caches").exists()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the files of a folder; the address of it."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_uv_is_brought_without_pip_and_only_if_its_hash_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "index" / "uv"
    page.mkdir(parents=True)
    names = [
        f"uv-{one}-py3-none-manylinux_2_17_{platform.machine()}.whl" for one in ("1.9", "1.10")
    ]
    links = ['<a href="uv-9.0-py3-none-manylinux_2_17_another.whl#sha256=0">another</a>']
    for name in names:
        with zipfile.ZipFile(page / name, "w") as wheel:
            wheel.writestr("uv-1.data/scripts/uv", f"#!/bin/sh\necho {name}\n")
        digest = hashlib.sha256((page / name).read_bytes()).hexdigest()
        links.append(f'<a href="../uv/{name}#sha256={digest}">{name}</a>')
    (page / "index.html").write_text("\n".join(links))
    monkeypatch.setattr(install_uv, "_has_pip", lambda: False)
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    root = tmp_path / "project"
    root.mkdir()
    with serving(tmp_path / "index") as address:
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {address}\n")
        monkeypatch.delenv("PIP_INDEX_URL", raising=False)
        program = install_uv.install_uv(root)
        (tmp_path / "pip.conf").write_text("")
        with pytest.raises(Failure, match="no package index is configured"):
            install_uv.install_uv(root)
        monkeypatch.setenv("LAB_INDEX", address)  # the laptop's
        assert install_uv.install_uv(root) == program
        assert subprocess.check_output([program], text=True).strip() == names[1]
        (page / names[1]).write_bytes(b"something else")
        with pytest.raises(Failure, match="the sha256 differs"):
            install_uv.install_uv(root)
    assert program.exists()
    assert [path.name for path in (root / ".lab").iterdir()] == ["uv"]


@pytest.mark.slow
def test_uv_is_brought_by_pip_where_there_is_no_manager(computer: Computer, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    shutil.copytree(computer.wheels, wheels)
    with zipfile.ZipFile(wheels / "uv-1.0-py3-none-any.whl", "w") as wheel:
        about = "uv-1.0.dist-info"
        uv = Path(computer.uv, "uv").resolve()
        script = f'#!/bin/sh\nexec "{uv}" "$@"\n'
        wheel.writestr("uv-1.0.data/scripts/uv", script)
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: uv\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        wheel.writestr(f"{about}/RECORD", f"{about}/RECORD,,\n")
    trial = Trial(computer, tmp_path / "project", random.Random(0), has_uv=False)
    trial.more = {"PIP_FIND_LINKS": str(wheels), "UV_CACHE_DIR": ""}
    trial.begin("auto")
    assert "uv was installed in .lab/uv" in trial.said
    assert (trial.root / ".lab/cache/uv").is_dir()
    assert json.loads((trial.root / ".venv/lab-environment.json").read_text())["manager"] == "uv"
