"""`lab code` against a real OpenSSH server: the workspace file, the editor, the extensions."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import openssh_server
import pytest
from baking import BakedProject
from conftest import Bake
from editor.json_with_comments import read_json
from openssh_server import Account, Laptop, OpenSSHServer
from tool_helpers import without_waiting

from ml_remote.context import Context
from ml_remote.editor.code import code, extensions_in
from ml_remote.editor.editors import EDITORS, Editor
from ml_remote.project import Project

pytestmark = pytest.mark.slow

ALIAS = "gpu"
# Writes down how it was called, and says which extensions it has.
RECORDER = """#!/bin/sh
printf '%s\\n' "$(basename "$0") $*" >>"{record}"
case $1 in --list-extensions) printf '%s\\n' {extensions} ;; esac
"""


@pytest.fixture
def account() -> Iterator[Account]:
    """Yield a person whose login shell greets them, even when it only runs a command."""
    with openssh_server.account(shell="/bin/bash") as made:
        yield made


@pytest.fixture
def project(bake: Bake, account: Account, server: OpenSSHServer, laptop: Laptop) -> BakedProject:
    """Return a project that is connected, and is in the account's home directory as well."""
    baked = bake(ssh_alias=ALIAS, project_slug="my-lab")
    key = laptop.make_key("id_ed25519")
    account.authorize(Path(f"{key}.pub").read_text())
    host_key = Path(f"{server.host_key}.pub").read_text().split()
    laptop.known_hosts.write_text(f"[127.0.0.1]:{server.port} {host_key[0]} {host_key[1]}\n")
    laptop.config.write_text(
        f"Host {ALIAS}\n  HostName 127.0.0.1\n  Port {server.port}\n  User {account.user}\n"
        f"  IdentityFile {key}\n  UserKnownHostsFile {laptop.known_hosts}\n"
    )
    account.write("my-lab/lab.toml", baked.read("lab.toml"))
    account.write(".bashrc", "echo Welcome to the machine\n")
    return baked


class Programs:
    """A PATH on which no editor is but those that the test puts there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "record"

    def add(self, name: str, *extensions: str) -> None:
        """Put a stand-in for an editor on the PATH."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / name
        path.write_text(RECORDER.format(record=self.record, extensions=" ".join(extensions)))
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """How the stand-ins were called, in order."""
        return self.record.read_text().splitlines() if self.record.exists() else []


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path / "programs")


def run_code(
    project: BakedProject, programs: Programs, *words: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `lab code`; the real PATH holds no editor, and stands behind the stand-ins."""
    path = f"{programs.folder}{os.pathsep}{os.environ['PATH']}"
    return project.run(
        sys.executable, "-B", "lab.py", "code", *words, check=False, **{"PATH": path, **variables}
    )


def workspace(project: BakedProject) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(project.read(f"{ALIAS}.code-workspace"))
    return content


def test_workspace_file_opens_the_folder_there_with_the_projects_settings(
    project: BakedProject, programs: Programs, account: Account, laptop: Laptop
) -> None:
    programs.add("codium")
    programs.add("code", "ms-vscode-remote.remote-ssh")
    done = run_code(project, programs)
    assert done.returncode == 0, done.stderr
    path = project.path / f"{ALIAS}.code-workspace"
    there = f"vscode-remote://ssh-remote+{ALIAS}{account.home}/my-lab"
    files = [f"--file-uri {there}/{name}" for name in ("README.md", "labs/mnistlab.py")]
    assert programs.calls == ["code --list-extensions", f"code {path} {' '.join(files)}"]
    assert f"Visual Studio Code opens {ALIAS}:{account.home}/my-lab" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Next: ")
    # ssh was told where its configuration is; VS Code has to be told as well.
    assert f'"remote.SSH.configFile": "{laptop.config}"' in done.stdout
    assert workspace(project) == {
        "folders": [{"uri": f"vscode-remote://ssh-remote+{ALIAS}{account.home}/my-lab"}],
        "remoteAuthority": f"ssh-remote+{ALIAS}",
        "settings": read_json(project, ".vscode/settings.json"),
    }
    ignored = project.run("git", "check-ignore", path.name)
    assert ignored.stdout.strip() == path.name
    assert f"There is no environment on {ALIAS} yet" in done.stderr
    # From then on the window opens the files that were open in it.
    account.write("my-lab/.venv/bin/python", "", mode=0o755)
    again = run_code(project, programs)
    assert (again.returncode, without_waiting(again.stderr)) == (0, "")
    assert programs.calls[-1] == f"code {path}"


def test_what_the_person_added_to_the_workspace_file_stays(
    project: BakedProject, programs: Programs, account: Account
) -> None:
    programs.add("code", "ms-vscode-remote.remote-ssh")
    there = f"vscode-remote://ssh-remote+{ALIAS}"
    mine = {
        "folders": [{"uri": f"{there}/old/place"}, {"uri": f"{there}/data", "name": "data"}],
        "settings": {"editor.fontSize": 20, "search.followSymlinks": True},
        "tasks": {"version": "2.0.0", "tasks": []},
    }
    path = project.path / f"{ALIAS}.code-workspace"
    path.symlink_to("dotfiles")
    project.run("git", "add", "--force", path.name)
    done = run_code(project, programs)
    assert "is a link that a commit brought" in done.stderr
    assert not path.exists()
    project.run("git", "rm", "--cached", path.name)
    path.write_text(f"// mine\n{json.dumps(mine)[:-1]},\n}}\n")
    before = path.read_bytes()
    assert run_code(project, programs).returncode == 0
    assert path.is_symlink()
    assert [kept.read_bytes() for kept in project.path.glob(".lab/workspaces/*")] == [before]
    now = workspace(project)
    assert now["folders"] == [{"uri": f"{there}{account.home}/my-lab"}, mine["folders"][1]]  # type: ignore[index]
    assert now["settings"]["editor.fontSize"] == 20
    assert now["settings"]["search.followSymlinks"] is False
    assert now["tasks"] == mine["tasks"]
    # When there is nothing to change, not even a comment is lost.
    path.write_text(f"// mine\n{path.read_text()}")
    assert run_code(project, programs).returncode == 0
    assert path.read_text().startswith("// mine\n")


@pytest.mark.parametrize("damage", ["{", "[]", '{"folders": 3}', '{"settings": []}', "\udcff"])
def test_damaged_workspace_file_is_reported_and_kept(
    project: BakedProject, programs: Programs, damage: str
) -> None:
    programs.add("code", "ms-vscode-remote.remote-ssh")
    path = project.path / f"{ALIAS}.code-workspace"
    path.write_bytes(damage.encode(errors="surrogateescape"))
    before = path.read_bytes()
    done = run_code(project, programs)
    assert done.returncode == 1
    assert f"Error: {path}" in done.stderr
    assert "delete it: it will be written again" in done.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("installed", "taken"),
    [
        (["cursor", "codium", "code-insiders", "code"], "code"),
        (["cursor", "codium", "code-insiders"], "code-insiders"),
        (["cursor", "codium"], "codium"),
        (["positron", "windsurf", "cursor"], "cursor"),
        (["positron", "windsurf"], "windsurf"),
        (["zed", "positron"], "positron"),
    ],
)
def test_first_editor_that_is_here_is_started(
    project: BakedProject, programs: Programs, installed: list[str], taken: str
) -> None:
    for name in installed:
        programs.add(name)
    assert run_code(project, programs).returncode == 0
    assert {call.split()[0] for call in programs.calls} == {taken}


def test_lab_editor_comes_first_and_may_hold_arguments(
    project: BakedProject, programs: Programs
) -> None:
    programs.add("code")
    programs.add("cursor", "anysphere.remote-ssh")
    done = run_code(project, programs, LAB_EDITOR="cursor --profile 'my lab'")
    assert done.returncode == 0, done.stderr
    workspace_file = f"{project.path}/{ALIAS}.code-workspace"
    assert programs.calls[-1].startswith(f"cursor --profile my lab {workspace_file} --file-uri ")
    unknown = run_code(project, programs, LAB_EDITOR="vim9000")
    assert unknown.returncode == 1
    assert "LAB_EDITOR is 'vim9000', and no such program is installed" in unknown.stderr


def test_without_an_editor_the_link_and_the_clicks_are_shown(
    project: BakedProject, programs: Programs, account: Account
) -> None:
    done = run_code(project, programs)
    assert done.returncode == 0, done.stderr
    assert f"  vscode://vscode-remote/ssh-remote+{ALIAS}{account.home}/my-lab\n" in done.stdout
    assert "Remote Explorer" in done.stdout
    assert workspace(project)["remoteAuthority"] == f"ssh-remote+{ALIAS}"


def test_recommended_extensions_are_installed_on_both_sides(
    project: BakedProject, programs: Programs, account: Account
) -> None:
    programs.add("code", "some.other")
    server = account.home / ".vscode-server/cli/servers/Stable-abc/server/bin/code-server"
    record = account.home / "record"
    account.write(
        str(server.relative_to(account.home)),
        RECORDER.format(record=record, extensions="MS-Python.Python charliermarsh.ruff"),
        mode=0o755,
    )
    done = run_code(project, programs)
    assert done.returncode == 0, done.stderr
    assert "code --install-extension ms-vscode-remote.remote-ssh" in programs.calls
    assert record.read_text().splitlines() == [
        "code-server --list-extensions",
        "code-server --install-extension ms-toolsai.jupyter",
        "code-server --install-extension caenrigen.jupytext-sync",
        "code-server --install-extension tamasfe.even-better-toml",
    ]
    assert f"Installed on {ALIAS}: ms-toolsai.jupyter" in done.stdout


def test_editor_that_cannot_install_extensions_is_started_all_the_same(
    project: BakedProject, programs: Programs
) -> None:
    programs.add("code")
    failing = programs.folder / "code"
    failing.write_text(
        failing.read_text() + 'case $1 in --install*) echo "no network" >&2; exit 1; esac\n'
    )
    done = run_code(project, programs)
    assert done.returncode == 0, done.stderr
    assert "no network" in done.stderr
    assert f"{ALIAS}.code-workspace" in programs.calls[-1]


def test_editor_that_is_named_is_taken(
    project: BakedProject, programs: Programs, account: Account
) -> None:
    """Those built from VS Code's source take its command line, the others an address."""
    for name in ("code", "windsurf", "zeditor"):
        programs.add(name)
    folder, path = f"{account.home}/my-lab", project.path / f"{ALIAS}.code-workspace"
    done = run_code(project, programs, "--editor", "zed", LAB_EDITOR="code")
    assert programs.calls == [f"zeditor ssh://{ALIAS}{folder}"]
    assert f"Zed opens {ALIAS}:{folder}." in done.stdout
    assert not path.exists()

    done = run_code(project, programs, "--editor", "windsurf")
    assert programs.calls[1].startswith(f"windsurf {path} ")  # what SSH needs is built in
    assert f"Windsurf opens {ALIAS}:{folder}" in done.stdout

    done = run_code(project, programs, "--editor", "gateway")
    link = re.search(r"^  jetbrains-gateway://connect#(.*)$", done.stdout, re.MULTILINE)
    assert link is not None, done.stdout
    values = dict(parse_qsl(link[1]))
    assert values["host"] == "127.0.0.1"
    assert values["user"] == account.user
    assert values["type"] == "ssh"
    assert values["projectPath"] == folder

    unknown = run_code(project, programs, "--editor", "vim9000")
    assert unknown.returncode == 1
    assert "Error: --editor is 'vim9000', and no such program is installed." in unknown.stderr
    assert "code, code-insiders, codium, cursor, windsurf, positron, zed, gateway" in unknown.stderr


def test_editor_that_fails_is_reported_in_its_own_words(
    project: BakedProject, programs: Programs
) -> None:
    programs.add("code", "ms-vscode-remote.remote-ssh")
    failing = programs.folder / "code"
    failing.write_text(
        failing.read_text() + "case $1 in *space*) echo 'no display'; exit 3; esac\n"
    )
    done = run_code(project, programs)
    assert done.returncode == 1
    assert "failed: no display" in done.stderr


def test_project_that_is_not_there_yet_is_told(project: BakedProject, programs: Programs) -> None:
    settings = project.path / "lab.toml"
    settings.write_text(settings.read_text().replace('folder = "my-lab"', 'folder = "not there"'))
    done = run_code(project, programs)
    assert done.returncode == 1
    assert without_waiting(done.stderr) == (
        f"Error: There is no folder not there on {ALIAS}.\nNext: Send the project to the machine: "
        "lab up\n"
    )
    assert not (project.path / f"{ALIAS}.code-workspace").exists()


@pytest.mark.parametrize(
    ("variable", "place"),
    [
        ("SSH_CONNECTION", "reached over SSH"),
        ("REMOTE_CONTAINERS", "in a dev container"),
        ("CODESPACES", "in a codespace"),
    ],
)
def test_laptops_command_on_the_remote_side_says_so(
    project: BakedProject, programs: Programs, laptop: Laptop, variable: str, place: str
) -> None:
    laptop.config.unlink()
    done = run_code(project, programs, **{variable: "true"})
    assert done.returncode == 1
    assert place in done.stderr
    assert "Run `lab` on the laptop" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_only_names_of_extensions_are_installed() -> None:
    odd = [
        "a.b",
        "charliermarsh.ruff",
        "--force",
        "/tmp/x.vsix",
        "../x.vsix",
        "a.b;id",
        "a",
        5,
        None,
    ]
    assert extensions_in(odd) == ["a.b", "charliermarsh.ruff"]
    for nothing in (None, 5, "a.b", {"a.b": 1}):
        assert extensions_in(nothing) == []


def test_vs_code_of_windows_is_not_sent_to_a_machine_that_wsl_alone_knows(
    project: BakedProject,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    program = tmp_path / "code"
    program.symlink_to("/mnt/c/Program Files/Microsoft VS Code/bin/code")
    editor = Editor(kind=EDITORS[0], command=(str(program),))
    assert not editor.is_of_windows
    monkeypatch.setenv("WSL_DISTRO_NAME", "Debian")
    assert editor.is_of_windows
    monkeypatch.setattr("ml_remote.editor.code.find_editor", lambda _: editor)
    monkeypatch.chdir(project.path)
    code(Context(project=Project(root=project.path)))
    said = capsys.readouterr().out
    assert "reads Windows' own SSH configuration" in said
    assert "PowerShell" in said
