"""An installed `lab`: which version it runs in a project, and what it asks before."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, TOOL, BakedProject
from hooks_as_modules import load_hook
from needs import IS_ROOT
from remote_fixtures import at_terminal
from template_copy import TEMPLATE_FOLDER, commit_all, make_repository

from ml_remote import trust
from ml_remote.errors import ConfigurationError, LabError
from ml_remote.pins import is_template_script, read_pin
from ml_remote.programs import find_program

START = [sys.executable, "-B", "-c", "from ml_remote.start import main; raise SystemExit(main())"]
URL = "https://git.example.com/team/tool"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SETTINGS = 'format = 2\n[remote]\nalias = "gpu"\nfolder = "digits"\n'

Start = Callable[..., "subprocess.CompletedProcess[str]"]


def script(requirement: str = f"ml-remote @ git+{URL}@{COMMIT}") -> str:
    return (
        '# /// script\n# requires-python = ">=3.11"\n'
        f'# dependencies = ["{requirement}"]\n# ///\nprint("lab.py ran")\n'
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that pins another version than this one."""
    monkeypatch.delenv("LAB_TOOL", raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "lab.toml").write_text(SETTINGS)
    (folder / "lab.py").write_text(script())
    return folder


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `uv` that says what it is told; PATH leads to it first."""
    program = tmp_path / "programs" / "uv"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "uv $*"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


@pytest.fixture
def lab(project: Path, uv: Path) -> Start:
    """Type `lab` in the project, with nobody at the terminal."""

    def run(*words: str, folder: Path = project, **variables: str) -> object:
        return subprocess.run(
            [*START, *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(TOOL), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    return run  # type: ignore[return-value]


def handed_over(project: Path, *words: str) -> str:
    return " ".join(["uv run --quiet --script", f"{project}/lab.py", *words]) + "\n"


# --- which one is run


def test_without_a_project_the_installed_one_is_run(lab: Start, tmp_path: Path) -> None:
    assert lab("--version", folder=tmp_path).stdout.startswith("lab 0.1.0 from ")


@pytest.mark.parametrize("requirement", [None, "click"], ids=["no lab.py", "no pin"])
def test_without_a_pin_the_installed_one_is_run(
    lab: Start, project: Path, requirement: str | None
) -> None:
    if requirement is None:
        (project / "lab.py").unlink()
    else:
        (project / "lab.py").write_text(script(requirement))
    (project / "below").mkdir()
    done = lab("--version", folder=project / "below")
    assert done.stdout.startswith("lab 0.1.0 from "), done.stderr
    assert ("pins no version of lab" in done.stderr) is (requirement is not None)


def test_folder_of_this_very_tool_is_run_at_once(lab: Start, project: Path) -> None:
    (project / "lab.py").write_text(script("click"))
    (project / "lab.local.toml").write_text(f'[tool]\npath = "{TOOL.parent}"\n')
    assert lab("--version").stdout.startswith("lab 0.1.0 from ")


def test_pin_is_run_by_uv_with_the_same_words(lab: Start, project: Path) -> None:
    (project / "labs").mkdir()
    done = lab("--accept-tool", "run", "a b", "--local", folder=project / "labs")
    assert done.stdout == handed_over(project, "run", "a b", "--local")
    assert done.returncode == 0


@pytest.mark.parametrize("more", [" ; python_version > '3'", "#egg=x"])
def test_pin_in_another_form_is_run_by_uv_too(lab: Start, project: Path, more: str) -> None:
    (project / "lab.py").write_text(script(f"ml-remote @ git+{URL}@{COMMIT}{more}"))
    assert lab("--accept-tool", "runs").stdout == handed_over(project, "runs")


def test_address_that_would_change_the_terminal_is_refused(lab: Start, project: Path) -> None:
    (project / "lab.py").write_text(script(f"ml-remote @ git+https://\\u001b[2Kx.example@{COMMIT}"))
    refused = lab("--accept-tool", "runs")
    assert refused.returncode == 1
    assert "takes the tool from an address with control characters" in refused.stderr
    assert "\x1b[2K" not in refused.stderr


def test_lock_beside_it_is_obeyed(lab: Start, project: Path) -> None:
    (project / "lab.py.lock").touch()
    assert lab("--accept-tool", "up").stdout == handed_over(project, "up").replace(
        "uv run", "uv run --frozen"
    )


def test_exit_code_is_that_of_the_pinned_one(lab: Start, uv: Path) -> None:
    uv.write_text("#!/bin/sh\nexit 7\n")
    assert lab("--accept-tool", "up").returncode == 7


def test_settings_that_cannot_be_read_are_left_to_the_pinned_one(lab: Start, project: Path) -> None:
    (project / "lab.toml").write_text("[remote\n")
    assert lab("--accept-tool", "up").stdout == handed_over(project, "up")


def test_project_with_the_tool_in_it_runs_that(lab: Start, project: Path) -> None:
    (project / "lab.toml").write_text(SETTINGS.replace("format = 2\n", ""))
    (project / "lab.py").write_text(script("click"))
    assert lab("--version").stdout.startswith("lab 0.1.0 from ")  # cruft has taken it away
    (project / "src" / "remote").mkdir(parents=True)
    asked = lab("up")
    assert f"runs lab from {project}/src/remote" in asked.stderr
    assert lab("--accept-tool", "up").stdout == handed_over(project, "up")


def test_missing_uv_is_told(lab: Start, project: Path, uv: Path) -> None:
    assert lab("--accept-tool", "up").returncode == 0
    done = lab("up", PATH=str(project))
    assert done.returncode == 1
    assert done.stderr.startswith("lab needs uv")


@pytest.mark.slow
def test_script_that_starts_lab_again_does_not_go_round(
    lab: Start, project: Path, uv: Path
) -> None:
    (uv.parent / "again.py").write_text(START[-1])
    uv.write_text(f'#!/bin/sh\nexec {sys.executable} -B "{uv.parent}/again.py" up\n')
    done = lab("--accept-tool", "up")
    assert done.returncode == 1
    assert "starts `lab` again instead of the tool that it pins" in done.stderr


def test_terminal_that_a_command_opens_may_start_lab_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ml_remote import cli

    monkeypatch.setenv("LAB_HANDED_OVER", "x")
    assert cli.main(["--version"]) == 0
    assert "LAB_HANDED_OVER" not in os.environ


# --- what is asked


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


def test_memory_that_cannot_be_kept_is_told(lab: Start, project: Path, tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    done = lab("--accept-tool", "up", XDG_STATE_HOME=str(tmp_path / "state"))
    assert done.stdout == handed_over(project, "up")
    assert "You will be asked again." in done.stderr


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
    assert "The folder that you are in does not exist any more." in done.stderr
    assert "Traceback" not in done.stderr


# --- whose it is


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
        with pytest.raises(LabError, match="Everybody on this computer"):
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
    assert f"Everybody on this computer can change {project / name}" in done.stderr


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
@pytest.mark.parametrize("name", ["lab.toml", "lab.py", "."])
def test_nothing_of_somebody_else_is_run(lab: Start, project: Path, name: str) -> None:
    os.chown(project / name, 12345, 12345)
    done = lab("--accept-tool", "up")
    assert done.returncode == 1
    assert "belongs to another user, so lab runs nothing" in done.stderr
    assert "uv run lab.py" in done.stderr


# --- reading a pin


@pytest.mark.parametrize(
    ("requirement", "source", "commit"),
    [
        (f"ml-remote @ git+{URL}@{COMMIT}", f"{URL} at commit {COMMIT}", COMMIT),
        (f"ML_remote@git+{URL}@{COMMIT}", f"{URL} at commit {COMMIT}", COMMIT),
        (f"ml-remote @ git+{URL}@v1", f"git+{URL}@v1", None),
        (f"ml-remote @ git+ssh://git@h/p@{COMMIT}", f"ssh://git@h/p at commit {COMMIT}", COMMIT),
        ("ml-remote-other", None, None),
        ("click", None, None),
    ],
)
def test_pin_is_read(
    project: Path, requirement: str, source: str | None, commit: str | None
) -> None:
    for ending in ("\n", "\r\n"):
        (project / "lab.py").write_bytes(script(requirement).replace("\n", ending).encode())
        pin = read_pin(project)
        assert (pin and pin.source, pin and pin.commit) == (source, commit)


def test_metadata_that_is_no_toml_is_told(project: Path) -> None:
    (project / "lab.py").write_text(script('"'))
    with pytest.raises(ConfigurationError, match="metadata in"):
        read_pin(project)


# --- the real thing


@pytest.mark.slow
def test_installed_from_git_it_runs_what_a_project_pins(
    default_project: BakedProject, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_repository(tmp_path / "repository")
    url = f"file://{repository}"
    first = _git(repository, "rev-parse", "HEAD")
    metadata = repository / "pyproject.toml"
    metadata.write_text(metadata.read_text().replace('version = "0.1.0"', 'version = "0.2.0"', 1))
    commit_all(repository, "Number another version")
    second = _git(repository, "rev-parse", "HEAD")
    programs = tmp_path / "bin"
    monkeypatch.setenv("UV_TOOL_DIR", str(tmp_path / "tools"))
    monkeypatch.setenv("UV_TOOL_BIN_DIR", str(programs))
    monkeypatch.setenv("UV_PYTHON", sys.executable)
    monkeypatch.delenv("PYTHONPATH")
    subprocess.run(["uv", "tool", "install", "--quiet", f"git+{url}@{first}"], check=True)

    def lab(*words: str, **variables: str) -> str:
        done = subprocess.run(
            [programs / "lab", *words],
            cwd=project,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    (project / "lab.py").unlink()
    assert lab("--version") == f"lab 0.1.0, commit {first}, format 2\n"
    assert f"'ml-remote @ git+{url}@{first}'" in lab("completion", "bash")
    text = default_project.read("lab.py")
    for commit, number in ((first, "0.1.0"), (second, "0.2.0")):
        pinned = f'# dependencies = ["ml-remote @ git+{url}@{commit}"]'
        text = re.sub(r"(?m)^# dependencies = \[.*\]$", pinned, text)
        (project / "lab.py").write_text(text)
        words = ["--accept-tool"] if commit == second else []  # the installed one needs no question
        assert lab(*words, "--version") == f"lab {number}, commit {commit}, format 2\n"
    repository.rename(tmp_path / "gone")
    assert lab("--version", UV_OFFLINE="1") == f"lab 0.2.0, commit {second}, format 2\n"
    assert lab("pull", "--help", UV_OFFLINE="1").startswith("Usage: lab pull")


def _git(repository: Path, *words: str) -> str:
    command = ["git", "-C", str(repository), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_program_is_never_taken_from_the_folder_that_one_is_in(
    uv: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "uv").write_text("#!/bin/sh\n")
    (project / "uv").chmod(0o755)
    monkeypatch.chdir(project)
    for path in (".", "", f"{os.pathsep}."):
        monkeypatch.setenv("PATH", path)
        assert find_program("uv") is None
    monkeypatch.setenv("PATH", f".{os.pathsep}{uv.parent}")
    assert find_program("uv") == str(uv)
