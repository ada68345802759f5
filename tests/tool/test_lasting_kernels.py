"""Kernels that outlive their window: `lab status` lists them, `lab stop --kernel` ends one."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path, PureWindowsPath

import pytest
from lasting_kernel_stand_ins import kernels_of, start_kernel
from needs import need_program
from remote_project import RemoteProject
from tool_helpers import at

from ml_remote import lasting_kernels
from ml_remote.context import Context
from ml_remote.errors import LabError, UsageError
from ml_remote.far.login.environment.processes import started
from ml_remote.lasting_kernels import (
    AT_LOGOUT,
    kernel_document,
    parse_kernels,
    tell_after_setup,
)
from ml_remote.machine import Machine
from ml_remote.processes import Result
from ml_remote.project import Project
from ml_remote.scripts import script
from ml_remote.sessions.kernels import _choose, about_kernels, stop_kernel
from ml_remote.ssh.client import Client

GOOD = {
    "id": "0123456789abcdef",
    "lab": "labs/mnistlab",
    "started": 1767225600,
    "seconds": 11100,
    "unused_seconds": 60,
    "memory": 3 * 2**30,
    "card_memory": 2**31,
    "is_shown": True,
    "is_busy": False,
    "has_old_environment": False,
}
# A stand-in: the registries have no driver. The first kernel has memory on a card.
NVIDIA_SMI = """\
#!/bin/sh
case "$*" in
*--query-gpu=*) echo 'GPU-11, 0, NVIDIA H200, 87, 71234, 143771' ;;
*--query-compute-apps=pid,*) echo "$(cat $HOME/on-card), 2048" ;;
*--query-compute-apps=gpu_uuid,*) echo "GPU-11, $(cat $HOME/on-card), 2048" ;;
*) exit 2 ;;
esac
"""


def said(**values: object) -> str:
    return f"kernel\t{json.dumps(GOOD | values)}\n"


def test_kernels_are_described_in_a_line_each() -> None:
    kernels = parse_kernels(f"now\t1\tgpu\n{said()}logout\tkeeps\n")
    assert kernels.is_known
    assert list(about_kernels(kernels)) == [
        "Kernel      labs/mnistlab  (for 3 h 05 min, 3.0 GiB, 2.0 GiB on the card, "
        "shown in a window, idle)"
    ]
    document = kernel_document(kernels.all[0])
    assert document.keys() == GOOD.keys()
    assert {key: document[key] for key in GOOD if key != "started"} == {
        key: value for key, value in GOOD.items() if key != "started"
    }
    odd = parse_kernels(
        said(memory=None, card_memory=None, is_shown=False, is_busy=True, has_old_environment=True)
    )
    (line,) = about_kernels(odd)
    assert line.endswith(
        "(for 3 h 05 min, perhaps memory on the card, in no window, busy, old environment until "
        "restarted)"
    )
    assert "card" not in next(about_kernels(parse_kernels(said(card_memory=0))))
    assert "labs/Ada's (2)" in next(about_kernels(parse_kernels(said(lab="labs/Ada's (2)"))))


def test_kernel_that_stays_is_said_with_the_command_for_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(client=Client(alias="gpu"), folder="lab")
    nothing = Result(returncode=0, stdout="", stderr="")
    monkeypatch.setattr(Context, "machine", lambda *_: machine)
    monkeypatch.setattr("ml_remote.sessions.kernels.list_kernels", lambda _: parse_kernels(said()))
    monkeypatch.setattr("ml_remote.sessions.kernels.run_script", lambda *_, **__: nothing)
    with pytest.raises(LabError, match="could not be ended") as caught:
        stop_kernel(Context(project=Project(root=tmp_path)), "")
    assert caught.value.hint == "Try again: lab stop --kernel LAB"  # `lab stop` ends a run


def test_lab_is_named_as_in_the_folder_where_the_person_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labs = ("labs/a", "labs/b", "more/a", "/elsewhere/c")
    texts = [said(lab=lab, id=f"{number:016x}") for number, lab in enumerate(labs)]
    known = parse_kernels("".join(texts)).all
    (tmp_path / "labs").mkdir()
    (tmp_path / "labs" / "a.py").touch()
    project = Project(root=tmp_path)
    monkeypatch.chdir(tmp_path / "labs")
    for words, lab in {
        "labs/a.py": "labs/a",
        "./labs/b.ipynb": "labs/b",
        str(tmp_path / "labs" / "a.py"): "labs/a",
        "../labs/a": "labs/a",
        "a": "labs/a",  # there is one of that name here
        "b": "labs/b",
        "/elsewhere/c.ipynb": "/elsewhere/c",
    }.items():
        found = _choose(known, words, project, where="gpu")
        assert found is not None
        assert found.lab == lab
    with pytest.raises(UsageError, match="matches several kernels on gpu: labs/a, more/a"):
        _choose(known, "a", Project(root=tmp_path / "nowhere"), where="gpu")
    monkeypatch.setattr("ml_remote.sessions.kernels.PurePath", PureWindowsPath)
    found = _choose(known, r"labs\\b.py", project, where="gpu")
    assert found is not None
    assert found.lab == "labs/b"


@pytest.mark.parametrize(
    "answer",
    [
        "kernels-fault\n",
        "kernel\t\n",
        "kernel\t[]\n",
        'kernel\t{"id": "0123456789abcdef"}\n',
        *(
            said(**{key: value})
            for key, value in {
                "id": "../../x",
                "lab": "$(id)",
                "started": -1,
                "seconds": "long",
                "unused_seconds": 1e400,
                "memory": True,
                "card_memory": -1,
            }.items()
        ),
    ],
)
def test_kernel_that_cannot_be_read_is_not_shown_but_said(answer: str) -> None:
    kernels = parse_kernels(answer)
    assert not kernels.all
    assert not kernels.is_known
    assert [*about_kernels(kernels)] == [
        "Kernel      unknown: the tool that is installed there cannot list them (lab setup)"
    ]


@pytest.mark.parametrize(("word", "lines"), [("ends", 1), ("keeps", 0), ("x", 0)])
def test_end_of_the_last_connection_is_told(word: str, lines: int) -> None:
    told = [*about_kernels(parse_kernels(f"logout\t{word}\n"))]
    assert told == [f"Logging out {AT_LOGOUT[word]}"] * lines if lines else told == []


@pytest.mark.parametrize(
    ("printed", "keeps", "told"),
    [
        (said() + "logout\tkeeps\n", True, []),
        (
            said(has_old_environment=True)
            + said(id="0" * 16, lab="labs/b", has_old_environment=True)
            + "logout\tends\n",
            True,
            [
                "The kernels of labs/mnistlab, labs/b use the old environment until Restart.",
                f"Warning: When your last connection ends, gpu {AT_LOGOUT['ends']}.",
            ],
        ),
        (said(has_old_environment=True) + "logout\tends\n", False, []),
        ("kernels-fault\n", True, []),
    ],
)
def test_setup_tells_what_kernels_still_use(
    printed: str,
    keeps: bool,
    told: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    setting = "" if keeps else "[sessions]\nkeep_kernels = false\n"
    (tmp_path / "lab.toml").write_text(f'[remote]\nalias = "gpu"\nfolder = "lab"\n{setting}')
    result = Result(returncode=0, stdout=printed, stderr="")
    monkeypatch.setattr(lasting_kernels, "run_script", lambda *_: result)
    context = Context(project=Project(root=tmp_path))
    tell_after_setup(context, Machine(client=Client(alias="gpu"), folder="lab"))
    assert capsys.readouterr().err.splitlines() == told


LOGIND: list[tuple[dict[str, str], str]] = [
    ({}, "keeps"),
    ({"etc/systemd/logind.conf": "[Login]\nKillUserProcesses=yes"}, "ends"),
    ({"etc/systemd/logind.conf": "[Login]\n#KillUserProcesses=yes\n"}, "keeps"),
    ({"etc/systemd/logind.conf": "KillUserProcesses=yes\n[Other]\nKillUserProcesses=1\n"}, "keeps"),
    ({"usr/lib/systemd/logind.conf": "[Login]\n KillUserProcesses = True \n"}, "ends"),
    (
        {
            "etc/systemd/logind.conf": "[Login]\nKillUserProcesses=yes\n",
            "usr/lib/systemd/logind.conf.d/50-x.conf": "[Login]\nKillUserProcesses=no\n",
        },
        "keeps",
    ),
    (
        {
            "usr/lib/systemd/logind.conf.d/50-x.conf": "[Login]\nKillUserProcesses=no\n",
            "run/systemd/logind.conf.d/50-x.conf": "[Login]\nKillUserProcesses=on\n",
            "etc/systemd/logind.conf.d/40-x.conf": "[Login]\nKillUserProcesses=no\n",
        },
        "ends",
    ),
    ({"etc/systemd/logind.conf": "[Login]\nKillOnlyUsers=bob ada\n"}, "ends"),
    (
        {"etc/systemd/logind.conf": "[Login]\nKillUserProcesses=yes\nKillOnlyUsers=bob\n"},
        "keeps",
    ),
    (
        {"etc/systemd/logind.conf": "[Login]\nKillUserProcesses=1\nKillExcludeUsers=root ada\n"},
        "keeps",
    ),
    (
        {
            "etc/systemd/logind.conf": "[Login]\nKillUserProcesses=1\nKillExcludeUsers=ada\n",
            "etc/systemd/logind.conf.d/a.conf": "[Login]\nKillExcludeUsers=\n",
        },
        "ends",
    ),
    (
        {
            "etc/systemd/logind.conf": "[Login]\nKillUserProcesses=yes\n",
            "var/lib/systemd/linger/ada": "",
        },
        "ends",  # what a connection has started, however long the person's manager lives
    ),
    ({"var/lib/systemd/linger/ada": ""}, "keeps"),
]
BUSCTL = """\
#!/bin/sh
[ "$*" = "get-property org.freedesktop.login1 /org/freedesktop/login1 \
org.freedesktop.login1.Manager KillUserProcesses KillOnlyUsers KillExcludeUsers" ] || exit 1
printf '%s\\n' "$SAYS"
"""


def at_logout(root: Path, programs: Path, *shell: str, user: str = "ada", says: str = "") -> str:
    """Run the script for a user of this name, on a system whose files are below `root`."""
    for name, text in {"id": f"#!/bin/sh\necho {user}\n", "busctl": BUSCTL}.items():
        (programs / name).write_text(text if name == "id" or says else "#!/bin/sh\nexit 1\n")
        (programs / name).chmod(0o755)
    done = subprocess.run(
        [*shell, "-c", f'{script("logout")}\nat_logout "$0"', str(root)],
        env={"PATH": f"{programs}:{os.environ['PATH']}", "SAYS": says},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["sh", "busybox sh"])
def test_settings_of_logind_are_read_as_systemd_reads_them(tmp_path: Path, shell: str) -> None:
    """By its files (a stand-in for busctl says that there is no bus), and by its own words."""
    need_program(shell.split()[0])
    (programs := tmp_path / "bin").mkdir()
    assert at_logout(tmp_path, programs, *shell.split()) == ""  # no systemd
    for number, (files, word) in enumerate(LOGIND):
        root = tmp_path / str(number)
        (root / "run" / "systemd" / "system").mkdir(parents=True)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        assert at_logout(root, programs, *shell.split()) == word, files
    for says, user, word in [
        ('b true\nas 0\nas 1 "root"', "ada", "ends"),
        ('b true\nas 0\nas 1 "root"', "root", "keeps"),
        ("b true\nas 0\nas 0", "root", "keeps"),
        ('b true\nas 0\nas 2 "root" "ada"', "ada", "keeps"),
        ('b false\nas 1 "ada"\nas 0', "ada", "ends"),
        ('b true\nas 1 "bob"\nas 0', "ada", "keeps"),
        ("b false\nas 0\nas 0", "ada", "keeps"),
        ("nonsense", "ada", ""),
    ]:
        said = at_logout(tmp_path / "0", programs, *shell.split(), user=user, says=says)
        assert said == word, says


@pytest.mark.slow
def test_kernels_are_listed_and_ended(remote_project: RemoteProject) -> None:
    remote_project.push()
    account = remote_project.server.account
    path = account.write("bin/nvidia-smi", NVIDIA_SMI, mode=0o755)
    remote_project.server.stop()
    remote_project.server.start(SetEnv=f'"PATH={path.parent}:{os.environ["PATH"]}"')
    with kernels_of(account) as folder:
        none = remote_project.lab("stop", "--kernel")
        assert none.returncode == 0, none.stderr
        assert "This project has no live kernel on machine." in none.stdout
        machine = at(remote_project.client, remote_project.name)
        pids = [start_kernel(machine, lab) for lab in ("labs/mnistlab", "labs/treelab")]
        (kernel,) = (path for path in folder.iterdir() if str(pids[0]) in _about(path))
        (kernel / "busy").touch()
        account.write("on-card", str(pids[0]))
        before = len(_sessions(remote_project))
        shown = remote_project.lab("status")
        assert len(_sessions(remote_project)) == before + 1
        lines = [line for line in shown.stdout.splitlines() if line.startswith("  Kernel")]
        assert len(lines) == 2, shown.stdout + shown.stderr
        assert lines[0].startswith("  Kernel      labs/mnistlab  (for "), lines
        assert lines[0].endswith("GiB, 2.0 GiB on the card, in no window, busy)")
        assert lines[1].endswith("GiB, in no window, idle)")
        found = json.loads(remote_project.lab("status", "--json").stdout)["kernels"]
        assert [(one["lab"], one["card_memory"], one["is_busy"]) for one in found] == [
            ("labs/mnistlab", 2**31, True),
            ("labs/treelab", 0, False),
        ]
        several = remote_project.lab("stop", "--kernel")
        assert several.returncode == 2
        assert "2 kernels are live on machine: labs/mnistlab, labs/treelab." in several.stderr
        assert several.stderr.splitlines()[-1].endswith("lab stop --kernel LAB")
        unknown = remote_project.lab("stop", "--kernel", "labs/other")
        assert unknown.returncode == 2
        assert "there are kernels for labs/mnistlab, labs/treelab." in unknown.stderr
        for words in (["mnistlab.py"], []):
            ended = remote_project.lab("stop", "--kernel", *words)
            assert ended.returncode == 0, ended.stderr
            assert "was ended, with everything it had started." in ended.stdout
        assert not any(map(started, pids))
        # An ordinary user shares the folder with the kernels of other tests.
        assert not kernel.exists()
        assert not [one for one in folder.iterdir() if str(pids[1]) in _about(one)]


def _about(path: Path) -> str:
    return (path / "about.json").read_text()


def _sessions(remote_project: RemoteProject) -> list[str]:
    return [line for line in remote_project.server.log if line.startswith("Starting session:")]
