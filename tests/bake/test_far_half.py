"""Where setup-environment.sh gets the tool's far half, and that the environment never fails for it.

The environment is a stand-in for one that conda makes: an interpreter that knows a torch of a few
lines. Neither uv nor a `lab` is there, as in a container or on a login node.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, BakedProject
from environment_events import TORCH
from programs import path_without

from ml_remote.far.installed import content_hash, far_files, install

SCRIPT = "scripts/setup-environment.sh"
# Refuses what real ones refuse: a prefix that is no path, nodefaults as a channel, nobody to ask.
CONDA = """#!/bin/sh
[ "$1" != --version ] || exit 0
case " $* " in *nodefaults*) exit 1 ;; *" --yes "*) ;; *) exit 1 ;; esac
while [ "$#" -gt 0 ] && [ "$1" != --prefix ]; do shift; done
case $2 in /*) ;; *) exit 1 ;; esac
mkdir -p "$2/bin" "$2/conda-meta"
cat >"$2/bin/python" <<'END'
#!/bin/sh
case "$1 $2" in
"-m pip") ;;
*) PYTHONPATH=$PYTHONPATH:$TORCH exec "$SHARED_PYTHON" "$@" ;;
esac
END
chmod +x "$2/bin/python"
"""
PIN = "# dependencies = []"


@dataclass(frozen=True)
class Bare:
    """A project on a machine without uv and without `lab`."""

    project: BakedProject
    variables: dict[str, str]

    def set_up(self, *arguments: str, **variables: str) -> str:
        """Run the script, which must not fail; return all that it printed."""
        done = self.project.run("sh", SCRIPT, *arguments, check=False, **self.variables | variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def pin(self, url: str, commit: str) -> None:
        """Pin this version of the tool in lab.py, and nowhere else."""
        script = self.project.path / "lab.py"
        pin = f'# dependencies = ["ml-remote @ git+{url}@{commit}"]'
        assert PIN in script.read_text()
        script.write_text(script.read_text().replace(PIN, pin, 1))
        (self.project.path / "lab.local.toml").unlink()

    @property
    def far(self) -> Path:
        """The folder of far halves."""
        return self.project.path / ".lab" / "far"

    def assert_runs_labs(self) -> None:
        """Check that the far half is the one of this tool, and finds the labs of the project."""
        assert (self.far / "current").readlink() == Path(content_hash(far_files()))
        python = self.project.path / ".venv/bin/python"
        command = (python, ".lab/far/current", "headless", "labs/nolab.py")
        done = self.project.run(*command, check=False, **self.variables)
        assert done.returncode == 2
        assert "The labs of this project: labs/" in done.stderr


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a PATH with conda's stand-in, and no other maker of environments."""
    folder = path_without(tmp_path_factory.mktemp("bare"), "conda", "mamba", "micromamba", "uv")
    conda = Path(folder) / "conda"
    conda.write_text(CONDA)
    conda.chmod(0o755)
    return folder


@pytest.fixture
def bare(
    default_project: BakedProject, programs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Bare:
    """Return a copy of the project on such a machine."""
    copy = tmp_path / "a project"
    shutil.copytree(default_project.path, copy, ignore=shutil.ignore_patterns(".git"))
    torch = tmp_path / "torch-stand-in"
    torch.mkdir()
    (torch / "torch.py").write_text(TORCH)
    monkeypatch.delenv("LAB_TOOL", raising=False)
    return Bare(
        replace(default_project, path=copy),
        {
            "PATH": programs,
            "PYTHONPATH": "",
            "TORCH": str(torch),
            "SHARED_PYTHON": sys.executable,
            "LAB_MINIMUM_FREE_GB": "0",
            "LAB_PROGRAM_FOLDERS": "",
        },
    )


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, str]:
    """Return a repository of the tool, and the commit that a project pins."""
    folder = tmp_path / "tool"
    for name, text in far_files().items():
        if name != "__main__.py":
            path = folder / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "Tool")):
        subprocess.run(["git", "-C", folder, *command], check=True)
    done = subprocess.run(
        ["git", "-C", folder, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    )
    return folder, done.stdout.strip()


@pytest.mark.slow
def test_folder_of_the_tool_gives_it(bare: Bare) -> None:
    (bare.project.path / "lab.local.toml").write_text(f'[tool]\npath = "{TEMPLATE_ROOT}"  # mine\n')
    assert "The environment is complete" in bare.set_up()
    bare.assert_runs_labs()
    (bare.project.path / "lab.local.toml").unlink()
    assert bare.set_up().count("\n") == 1  # what is there will do
    (bare.far / "current").unlink()
    said = bare.set_up(LAB_TOOL=str(TEMPLATE_ROOT))
    assert said.startswith("The environment is up to date")
    bare.assert_runs_labs()


@pytest.mark.slow
def test_pinned_version_is_fetched_once(bare: Bare, repository: tuple[Path, str]) -> None:
    folder, commit = repository
    bare.pin(folder.as_uri(), commit)
    assert "The environment is complete" in bare.set_up()
    bare.assert_runs_labs()
    folder.rename(folder.with_name("gone"))
    assert bare.set_up().count("\n") == 1
    bare.assert_runs_labs()
    assert [path.name for path in bare.project.path.glob(".lab/tool*")] == []


@pytest.mark.slow
def test_version_that_lab_has_sent_is_taken_and_not_fetched_again(bare: Bare) -> None:
    commit = "0123456789" * 4
    bare.pin("https://127.0.0.1:1/tool", commit)
    sent = install(bare.far)
    variables = {"LAB_FAR": f".lab/far/{sent.name}", "LAB_FAR_COMMIT": commit}
    assert "cannot" not in bare.set_up(**variables)
    bare.assert_runs_labs()
    (bare.far / "current").unlink()
    bare.set_up("--check", **variables)
    bare.assert_runs_labs()
    assert "cannot" not in bare.set_up()


class _Guarded(BaseHTTPRequestHandler):
    """A server of private repositories: it wants a password."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="private"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


class _Silent(_Guarded):
    """A server that takes a request and never answers."""

    over = threading.Event()

    def do_GET(self) -> None:
        self.over.wait(60)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the address of a server that gives nothing away."""
    with ThreadingHTTPServer(("127.0.0.1", 0), request.param) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}/tool"
        _Silent.over.set()
        made.shutdown()
        thread.join()


@pytest.mark.parametrize("server", [_Guarded, _Silent], indirect=True)
def test_what_cannot_be_fetched_is_named_and_nobody_is_asked(bare: Bare, server: str) -> None:
    bare.pin(server, "0123456789" * 4)
    said = bare.set_up(LAB_FETCH_SECONDS="2", GIT_ASKPASS="/bin/false")
    assert f"Labs cannot run headless yet: git cannot fetch {server}." in said
    assert "run `lab setup` on your laptop" in said
    assert "The environment is complete" in said
    assert not (bare.far / "current").exists()
    assert "git cannot fetch" in bare.set_up(LAB_FETCH_SECONDS="1")
    assert "git cannot fetch" not in bare.set_up("--check")


@pytest.mark.slow
def test_missing_git_and_missing_pin_are_named(bare: Bare) -> None:
    (bare.project.path / "lab.local.toml").unlink()
    assert "headless yet: lab.py pins no version of it." in bare.set_up()
    assert "there is no tool in /gone, and lab.py pins" in bare.set_up(LAB_TOOL="/gone")
    (bare.project.path / "lab.local.toml").touch()
    bare.pin("https://example.com/tool", "0123456789" * 4)
    git = Path(bare.variables["PATH"], "git")
    away = git.rename(git.with_name("git-away"))
    try:
        assert "Labs cannot run headless yet: git is not installed." in bare.set_up()
    finally:
        away.rename(git)


@pytest.mark.slow
def test_settings_of_both_files_count_and_the_newest_are_taken(bare: Bare) -> None:
    def manager() -> str:
        done = bare.project.run("sh", SCRIPT, check=False, **bare.variables)
        return done.stdout + done.stderr

    own = bare.project.path / "lab.local.toml"
    own.write_text('[environment]\nmanager = "uv"\n')
    assert "asks for uv" in manager()
    handed = bare.project.path / ".lab" / "settings.toml"
    handed.parent.mkdir(exist_ok=True)
    handed.write_text('[environment]\nmanager = "mamba"\npython = "3.12"\n')
    assert "asks for mamba" in manager()
    own.write_text('[environment]\nmanager = "micromamba"\n')
    assert "asks for micromamba" in manager()
    own.unlink()
    assert "asks for mamba" in manager()
    (bare.project.path / "lab.toml").touch()
    assert "Manager: conda" in manager()


@pytest.mark.slow
def test_script_alone_adds_to_an_environment_and_never_replaces_it(bare: Bare) -> None:
    (bare.project.path / "lab.local.toml").unlink()
    python = bare.project.path / ".venv" / "bin" / "python"
    assert "The environment is complete" in bare.set_up()
    assert bare.set_up("--check").splitlines()[-1].startswith("The environment is up to date")
    (python.parent / "precious").touch()
    with (bare.project.path / "environment.yml").open("a") as file:
        file.write("  - polars\n")
    done = bare.project.run("sh", SCRIPT, "--check", check=False, **bare.variables)
    assert (done.returncode, done.stdout) == (1, "The environment is not up to date.\n")
    # Another manager has come meanwhile: the environment keeps its own.
    programs = Path(bare.variables["PATH"])
    mamba = programs / "mamba"
    mamba.write_text("#!/bin/sh\nexit 1\n")
    mamba.chmod(0o755)
    try:
        assert "Manager: conda." in bare.set_up()
    finally:
        mamba.unlink()
    assert (python.parent / "precious").exists()
    python.unlink()
    done = bare.project.run("sh", SCRIPT, check=False, **bare.variables)
    assert done.returncode == 1
    assert ".venv does not work, or lab did not make it" in done.stderr
    assert "Run `lab setup` on your laptop" in done.stderr
    assert (python.parent / "precious").exists()


@pytest.mark.slow
def test_script_alone_makes_an_environment_where_only_a_link_of_ours_is_left(bare: Bare) -> None:
    (bare.project.path / "lab.local.toml").unlink()
    link = bare.project.path / ".venv"
    for left in ("/elsewhere/environment", ".venv"):
        link.symlink_to(left)
        done = bare.project.run("sh", SCRIPT, check=False, **bare.variables)
        assert done.returncode == 1
        assert ".venv does not work, or lab did not make it" in done.stderr
        assert str(link.readlink()) == left
        link.unlink()
    link.symlink_to(".lab/envs/conda-20260101-000000")  # after `rm -r .lab`
    assert "The environment is complete" in bare.set_up()
    assert not link.is_symlink()
