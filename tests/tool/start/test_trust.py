"""An installed `lab` asks before it runs a new version, and runs nothing of somebody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, TOOL
from hooks_as_modules import load_hook
from needs import IS_ROOT
from template_copy import TEMPLATE_FOLDER
from tool.start.installed import COMMIT, START, URL, Start, handed_over, script
from tool_helpers import at_terminal

from ml_remote import trust
from ml_remote.errors import LabError
from ml_remote.pins import is_template_script, read_pin


def test_new_pin_is_refused_where_nobody_can_be_asked(lab: Start) -> None:
    done = lab("up")
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"{URL} at commit {COMMIT}" in done.stderr
    assert "--accept-tool" in done.stderr


def test_pin_is_asked_about_once(lab: Start, project: Path) -> None:
    question = "Run its code on this computer? [y/N]:"
    environment = {"PYTHONPATH": str(TOOL)}
    no, screen = at_terminal(
        [*START, "up"], answers={question: "n"}, folder=project, variables=environment
    )
    assert no == 1
    assert "Nothing was run." in screen
    closed, screen = at_terminal(
        [*START, "up"], answers={question: "\x04"}, folder=project, variables=environment
    )
    assert closed == 1
    assert "Traceback" not in screen
    yes, screen = at_terminal(
        [*START, "up"], answers={question: "y"}, folder=project, variables=environment
    )
    assert yes == 0
    assert f"{URL} at commit {COMMIT}" in screen
    assert handed_over(project, "up").strip() in screen
    again = lab("up")
    assert again.stdout == handed_over(project, "up")
    assert again.stderr == ""


@pytest.mark.slow
def test_same_script_in_another_project_is_not_asked_about(
    lab: Start, project: Path, tmp_path: Path
) -> None:
    lab("--accept-tool", "up")
    other = tmp_path / "other"
    project.rename(other)
    assert lab("up", folder=other).stdout == handed_over(other, "up")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lab.py", script(f"ml-remote @ git+{URL}@{COMMIT[::-1]}")),
        ("lab.py", script() + "print('more')\n"),
        ("lab.py.lock", "other = 1\n"),
    ],
    ids=["another commit", "other code", "a lock"],
)
def test_change_of_what_would_run_is_asked_about(
    lab: Start, project: Path, name: str, text: str
) -> None:
    lab("--accept-tool", "up")
    (project / name).write_text(text)
    assert lab("up").returncode == 2


@pytest.mark.parametrize("requirement", ["click", f"ml-remote @ git+{URL}@{COMMIT}"])
def test_folder_of_the_tool_wins_over_a_pin(
    lab: Start, project: Path, home: Path, requirement: str
) -> None:
    (project / "lab.py").write_text(script(requirement))
    (project / "lab.local.toml").write_text('[tool]\npath = "~/tool"\n')
    assert f"runs lab from {home}/tool" in lab("up").stderr
    assert f"runs lab from {project}/here" in lab("up", LAB_TOOL="here").stderr


@pytest.mark.slow
def test_another_folder_of_the_tool_is_asked_about(lab: Start, project: Path) -> None:
    (project / "lab.py").write_text(script("click"))
    for folder in ("one", "two"):
        (project / "lab.local.toml").write_text(f'[tool]\npath = "{folder}"\n')
        assert f"runs lab from {project / folder}" in lab("up").stderr
        assert lab("--accept-tool", "up").returncode == 0


def test_completion_asks_and_says_nothing(lab: Start) -> None:
    done = lab(_LAB_COMPLETE="bash_complete", COMP_WORDS="lab u", COMP_CWORD="1")
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.slow
def test_memory_that_cannot_be_kept_is_told(lab: Start, project: Path, tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    done = lab("--accept-tool", "up", XDG_STATE_HOME=str(tmp_path / "state"))
    assert done.stdout == handed_over(project, "up")
    assert "lab will ask again next time." in done.stderr


def test_memory_is_the_persons_own(lab: Start, tmp_path: Path) -> None:
    lab("--accept-tool", "up", XDG_STATE_HOME=str(tmp_path / "state"))
    memory = tmp_path / "state" / "ml-remote" / "trusted"
    assert f"{URL} at commit {COMMIT}" in memory.read_text()
    assert memory.stat().st_mode & 0o777 == 0o600
    assert memory.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("uv.toml", 'index-url = "https://evil.example"', 'index-url = "https://evil.example"'),
        ("below/uv.toml", 'find-links = ["x\\u001b"]', 'find-links = ["x\\u001b"]'),
        ("pyproject.toml", "[tool.uv]\nno-index = true", "no-index = true"),
        ("../uv.toml", "offline = true", "offline = true"),
    ],
)
def test_settings_of_uv_are_shown_and_asked_about(
    project: Path, name: str, text: str, shown: str
) -> None:
    below = project / "below"
    below.mkdir()
    (project / "pyproject.toml").write_text("[tool.uv]\nmanaged = false\n")
    before = read_pin(project, below)
    (project / name).write_text(text)
    after = read_pin(project, below)
    assert before is not None
    assert after is not None
    assert before.settings == ()
    assert before.fingerprint != after.fingerprint
    said = next(trust.what_runs(after))
    assert said == f"uv reads settings for it: {(project / name).resolve()}: {shown}"


@pytest.mark.parametrize("url", [URL, "https://github.com/org/t", "ssh://git@h:22/p"])
def test_code_of_the_script_is_shown_unless_it_is_the_templates(
    project: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    text = (TEMPLATE_ROOT / TEMPLATE_FOLDER / "lab.py").read_text(encoding="utf-8")
    monkeypatch.chdir(project)
    path = project / "lab.py"
    path.write_text(text)
    assert is_template_script(path.read_bytes())
    load_hook("post_gen_project").pin_tool(url, COMMIT)
    made = path.read_text()
    path.write_bytes(made.replace("\n", "\r\n").encode())
    pin = read_pin(project)
    assert pin is not None
    assert list(trust.what_runs(pin)) == []
    for changed in (
        made + "import os\n",
        made.replace(f"{COMMIT}.\n", f'{COMMIT}."""; import os\n"""\n'),
        made.replace("tree/", 'tree/"""+x+"""'),
        made.replace(f'@{COMMIT}"]', f'@{COMMIT}", "evil"]'),
        made.replace("# ///", "# [tool.uv]\n# no-index = true\n# ///", 1),
        made.replace("import sys", "import\tsys  # \x1b[2J", 1),
    ):
        path.write_text(changed)
        pin = read_pin(project)
        assert pin is not None
        shown = "\n".join(trust.what_runs(pin))
        assert (changed == made) is (shown == "")
        assert "\x1b" not in shown


def test_option_belongs_to_the_command_behind_it(lab: Start) -> None:
    assert lab("pull", "--accept-tool").returncode == 2
    done = lab("--accept-tool", "pull", "--accept-tool")
    assert done.stdout.endswith("lab.py pull --accept-tool\n")


def test_removed_folder_is_one_sentence(lab: Start, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    words = f"rmdir {gone}; exec {sys.executable} -B -c '{START[-1]}' status"
    done = subprocess.run(
        ["sh", "-c", words],
        cwd=gone,
        env={**os.environ, "PYTHONPATH": str(TOOL)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "The current folder no longer exists." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("50 1 0:40 / {place} rw - 9p C:\\134 rw,aname=drvfs;path=C:\\;uid=1000", False),
        ("50 1 0:40 / {place} rw - drvfs C: rw,uid=1000", False),
        ("50 1 0:40 / {place} rw - fuse drvfs rw", True),
        ("50 1 0:40 / {place} rw - 9p host rw", True),
        ("50 1 0:40 / {place}/other rw - drvfs C: rw", True),
    ],
)
def test_mode_counts_unless_it_is_a_disk_of_windows(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, refused: bool
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(f"22 1 0:21 / / rw - ext4 /dev/sda rw\n{line.format(place=project)}\n")
    monkeypatch.setattr(trust, "MOUNTS", table)
    project.chmod(0o777)
    if refused:
        with pytest.raises(LabError, match="Everyone on this computer"):
            trust.check_owner(project)
    else:
        trust.check_owner(project)


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
@pytest.mark.parametrize("name", ["lab.py", "../uv.toml"])
def test_shell_function_runs_nothing_of_somebody_else(project: Path, uv: Path, name: str) -> None:
    """The function starts this tool, as uv would bring it, and that looks whose the project is."""
    (project / name).touch()
    (project.parent / "uv.toml").write_text("offline = true\n")
    os.chown(project / name, 12345, 12345)
    uv.write_text(f"#!/bin/sh\nshift 5\nexec {sys.executable} -B -c '{START[-1]}' \"$@\"\n")
    function = (TOOL / "ml_remote" / "ui" / "lab_function.sh").read_text()
    done = subprocess.run(
        ["bash", "-c", f"{function}\nlab --accept-tool up"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(TOOL)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "belongs to another user, so lab runs nothing" in done.stderr


@pytest.mark.parametrize("name", ["lab.toml", "lab.py", "lab.py.lock", "lab.local.toml", "."])
def test_nothing_that_others_can_change_is_run(lab: Start, project: Path, name: str) -> None:
    path = project / name
    path.touch()
    path.chmod(path.stat().st_mode | 0o002)
    done = lab("--accept-tool", "up")
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"Everyone on this computer can change {project / name}" in done.stderr


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
@pytest.mark.parametrize("name", ["lab.toml", "lab.py", "."])
def test_nothing_of_somebody_else_is_run(lab: Start, project: Path, name: str) -> None:
    os.chown(project / name, 12345, 12345)
    done = lab("--accept-tool", "up")
    assert done.returncode == 1
    assert "belongs to another user, so lab runs nothing" in done.stderr
    assert "uv run lab.py" in done.stderr
