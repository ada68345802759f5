"""What the machine answers is used only where it is what it may be."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from tool_source import calls

from ml_remote import answers, jobs, scripts
from ml_remote.answers import UnusableAnswerError
from ml_remote.commands.run import run
from ml_remote.context import Context
from ml_remote.editor import code
from ml_remote.errors import LabError, UsageError
from ml_remote.jobs.about import About, DamagedError
from ml_remote.jobs.job import parse_answer
from ml_remote.machine import Machine
from ml_remote.processes import Result
from ml_remote.project import Project
from ml_remote.runs import resuming
from ml_remote.runs.launchers import hosts, one_machine
from ml_remote.sessions import session
from ml_remote.ssh.client import Client
from ml_remote.status import parse
from ml_remote.transfer import outputs

# What belongs in no path, name or command: what ssh, sftp or a shell would act on, and controls.
HOSTILE = (
    "${HF_TOKEN}", "$HOME", "%u", "%%", "`id`", "$(id)", '"', "\\", "\x1b[2J", "\n", "\r", "\0",
    "\x9b", "\u202e", "\u2028", "\udcff", "\x7f", "/../",
)  # fmt: skip
GOOD = {
    answers.FOLDER: ["/home/ada/my work", "/größe/a..b", "/", "/a"],
    answers.SOCKET_FOLDER: ["/tmp/lab-a_1b", "/run/user/1000/lab-x", "/var/folders/a+b/T/lab-1"],
    answers.FAR_FOLDER: [".lab/far/0123abcd", ".lab/far/current"],
    answers.GOAL: ["max:accuracy", "min:val/loss@5"],
    answers.HOST: ["gpu", "gpu-1.example.com", "a_b", "10.0.0.1"],
    answers.JOB: ["2026-01-02_03-04-05", "2026-01-02_03-04-05_2"],
    answers.LAB: ["labs/mnistlab.py", "labs/my lab.py", "größe.py"],
    answers.NAME: ["train", "train.v2", "_a-1"],
    answers.KERNEL: ["0123456789abcdef"],
    answers.KERNEL_LAB: ["labs/mnistlab", "labs/my lab", "/home/ada/größe"],
    answers.VARIABLE: ["LR", "_x1"],
    answers.COMMIT: ["a" * 40, "0" * 64],
    answers.BRANCH: ["main", "feature/größe-1", "lab-uncommitted"],
    answers.SLURM_ID: ["12", "12_3"],
    answers.SLURM_STATE: ["PENDING", "OUT_OF_MEMORY", "CANCELLED+"],
    answers.TOKEN: ["0123456789abcdef", "Ab_-cdefg"],
    answers.USER: ["ada", "ada.l", "ada@example.org", "_apt"],
    answers.VERSION: ["2.4.1+cu121", "3.11.2", "gpu-part_1"],
    answers.INTERFACE: ["eth0", "eth0.100", "br-1a2b", "eth0:1"],
    answers.WORD: ["run", "setup", "jupyter", "some-kind"],
}
BAD = {
    answers.FOLDER: ["", "home/x", "~", "/a/..", "//../a", "/" + "a" * 2000],
    answers.SOCKET_FOLDER: ["", "tmp/x", "/tmp/a b", "/tmp/a:b", "/" + "a" * 100],
    answers.FAR_FOLDER: ["", "/x", ".lab/far/", ".lab/far/..", "outputs/x"],
    answers.GOAL: ["", "max", "max:", "best:loss", "max:a b", "min:" + "a" * 200],
    answers.HOST: ["", "-oProxyCommand=x", "a b", "a/b", "a;b", ".a", "a" * 300],
    answers.JOB: ["", ".", "..", "-a", "a/b", "a b", "é", "a" * 200],
    answers.LAB: ["", "/etc/x.py", "~/x.py", "-x.py", "labs/../../x.py"],
    answers.NAME: ["", ".", "..", "-a", "a/b", "a b", "é", "a" * 81],
    answers.KERNEL: ["", "0123456789ABCDEF", "spare-01234567", "0" * 17],
    answers.KERNEL_LAB: ["", "-x", "~/x", "labs/../../x", "x" * 1001],
    answers.VARIABLE: ["", "1a", "A-B", "A B", "é"],
    answers.COMMIT: ["", "HEAD", "A" * 40, "a" * 41],
    answers.BRANCH: ["", "-x", "a b", "a..b", "a:b", "a^", "x.lock", "a~1", "a@{1}", "a?"],
    answers.SLURM_ID: ["", "-1", "1;scancel", "١"],
    answers.SLURM_STATE: ["", "pending", "A B"],
    answers.TOKEN: ["", "short", "a" * 300, "a b c d e f"],
    answers.USER: ["", "-a", "a b", "a/b", "a$b"],
    answers.VERSION: ["", "1;2", "-1", "1 2"],
    answers.INTERFACE: ["", "-x", "a b", "a/b", "a" * 40],
    answers.WORD: ["", "a b", "1", "-a"],
}
EVERY = [kind for kind in vars(answers).values() if isinstance(kind, answers.Kind)]


def test_every_kind_of_answer_takes_what_machines_say_and_nothing_else() -> None:
    assert set(GOOD) == set(BAD) == set(EVERY)
    for kind in EVERY:
        for text in GOOD[kind]:
            assert answers.checked(kind, text) == text
            for hostile in HOSTILE:
                for mixed in (hostile + text, text + hostile):
                    if kind is answers.LAB and not re.search(
                        r"[\x00-\x1f\x7f-\x9f\udcff]", hostile
                    ):
                        continue  # a name of the person's: quoted wherever it is used
                    assert not answers.is_a(kind, mixed), (kind.what, mixed)
        for text in BAD[kind]:
            with pytest.raises(UnusableAnswerError):
                answers.checked(kind, text)
        others: tuple[object, ...] = (None, 1, True, 1.5, [], {}, b"x")
        for other in others:
            assert not answers.is_a(kind, other)


def test_folder_of_the_person_is_taken_as_they_named_it() -> None:
    assert answers.folder("/home/ada/it's %u", asked="it's %u") == "/home/ada/it's %u"
    assert answers.folder("/srv/it's", asked="/srv/it's") == "/srv/it's"
    for hostile in ("/home/${X}/lab", "/home/a'b/lab", "lab", "/x/../lab", "/home/%u/lab"):
        with pytest.raises(UnusableAnswerError):
            answers.folder(hostile, asked="lab")


@pytest.mark.parametrize(
    "answer",
    ["", "x", "1" * 5000, "١", "1e3", " 1", "1_0", "-1", "99", None, True, 1.0, [1], 10**30],
)
def test_number_is_between_its_bounds(answer: object) -> None:
    assert answers.number("7", most=9) == answers.number(7, most=9) == 7
    assert answers.number("-7", least=-9) == -7
    with pytest.raises(UnusableAnswerError):
        answers.number(answer, most=9)


def test_unusable_answer_is_short_and_in_one_line() -> None:
    error = answers.unusable("host name", "\x1b[2J\n" * 10_000)
    assert error.message.isprintable()
    assert len(error.message) < 250
    assert error.quoted[0] in error.message


ABOUT = {
    "format": 2, "kind": "run", "title": "x", "lab": "labs/a.py", "parameters": [["a", "b"]],
    "launcher": "ssh", "far": ".lab/far/abc",
}  # fmt: skip
DAMAGED: dict[str, list[object]] = {
    "lab": ["../../x.py", "/etc/x.py", "...py", "..py", "a\x1b.py", "-x.py", 1, ""],
    "kind": ["", "a b", "run;x", 1, None],
    "parameters": [["a"], {"a": "b"}, [["a", 1]], [["a", "b", "c"]], "ab"],
    "launcher": ["$(x)", "a b", 1],
    "far": ["/tmp/x", ".lab/far/../../x", ".lab/far/x;y", 1],
    "hosts": ["a", ["-oProxyCommand=x"], ["a b"], [1]],
    "resume": ["../x", "a b", "$(x)", 1],
    "processes": [0, -1, 1.5, "1", 10**9, True],
    "run": ["../x", "$(x)", 1],
    "host": ["-o", "a b", 1],
    "format": ["2", -1.5, None, True],
}


def test_description_of_a_job_is_read_only_if_every_value_can_be_meant() -> None:
    assert About.from_json(json.dumps(ABOUT)).run is not None
    for key, values in DAMAGED.items():
        for value in values:
            with pytest.raises(DamagedError):
                About.from_json(json.dumps({**ABOUT, key: value}))
    for text in ("", "[]", "[" * 10_000, "NaN", '{"format": 1e999}', "null"):
        with pytest.raises(DamagedError):
            About.from_json(text)


LINE = ["job", "2026-01-01_00-00-00", "1", "gone", "0", "2", "-", "gpu", "-", "json"]
ODD_FIELDS = {
    1: ["../x", "-x", "a b"],
    2: ["", "x", "9" * 30, "-1"],
    4: ["x", "999", "-2"],
    5: ["x", "9" * 30],
    7: ["-oX=y", "a b", "$(x)"],
    8: ["x RUNNING", "1 $(x)", "1;2 RUNNING r"],
}


def test_line_about_a_job_that_cannot_be_so_is_skipped() -> None:
    now = "now\t5\tgpu"
    about = json.dumps(ABOUT)
    assert len(parse_answer(f"{now}\n{chr(9).join([*LINE, about])}").jobs) == 1
    for index, values in ODD_FIELDS.items():
        for value in values:
            fields = [*LINE, about]
            fields[index] = value
            answer = parse_answer(f"{now}\n{chr(9).join(fields)}")
            assert not answer.jobs, (index, value)
            assert len(answer.faults) == 1
    for line in ("now", "now\t1", "now\tx\ty\tz"):
        assert parse_answer(line).jobs == ()
    with pytest.raises(UnusableAnswerError):
        parse_answer("now\t1\t-oProxyCommand=x")


def test_status_leaves_out_numbers_that_are_none() -> None:
    load = parse(
        f"load\tnan\tx\nmemory\t-1\t{'9' * 5000}\ndisk\tx\ny\ngpu\tu\t0\tname\t١\t1e9\t-\nload\t1"
    )
    assert (load.load, load.cores, load.memory, load.disk) == (None, None, None, None)
    assert load.gpus[0].used is None


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"addresses": [], "torch": "2", "port": 1, "token": "abcdefgh"},
        {"addresses": {"$(x)": "eth0"}, "torch": "2", "port": 1, "token": "abcdefgh"},
        {"addresses": {"10.0.0.1": "-x"}, "torch": "2", "port": 1, "token": "abcdefgh"},
        {"addresses": {}, "torch": "2;x", "port": 1, "token": "abcdefgh"},
        {"addresses": {}, "torch": "2", "port": "x", "token": "abcdefgh"},
        {"addresses": {}, "torch": "2", "port": 0, "token": "abcdefgh"},
        {"addresses": {}, "torch": "2", "port": 1, "token": "a b"},
    ],
)
def test_addresses_of_a_host_are_addresses(answer: dict[str, object]) -> None:
    with pytest.raises(UnusableAnswerError):
        hosts._facts(answer)


# Our own words, or a value that has been checked by the time it gets there.
OURS = re.compile(
    r"shlex\.(quote|join)\(.*\)|(\w+\.)*(_?alias|_name|EXAMPLES|id|_again|again|example)|job_id|run"
    r"|ids\[-1\]|going_on\[-1\]\.id|runs\[-1\]\.id|self\._name|_[A-Z]+|UNCOMMITTED|meant|known|line"
    r"|what|by_hand|beforehand|path\.name|_see\(old, new\)|host|job\.host|first|log|word|quoted"
    r"|requirement\.name|name|' '\.join\(names\)"
    r"|what_to_open\((context\.)?project\)|shown_in|work|aside"
    r"|self\._kind\.what_next|address or EXAMPLES|close\[0\]"
    r"|self\.directory / 'config'|subprocess\.list2cmdline\(command\)|branch|old\[:7\]|new"
    r"|_suggestion\(name\)|_in_command\('file', refused\[1\]\)"
)

PROPOSE = ("hint", "remedy")
"""The keywords for what a person is to do next."""
LEFT = ("left", "results", "session", "data")
"""The same where a command says what it knows."""


def test_value_in_a_next_step_is_our_own_or_quoted() -> None:
    strange = []
    for path, call in calls():
        proposing = PROPOSE + (LEFT if ast.unparse(call.func) == "Known" else ())
        texts = [keyword.value for keyword in call.keywords if keyword.arg in proposing]
        if isinstance(call.func, ast.Attribute) and call.func.attr == "next_step":
            texts += call.args
        values = [
            ast.unparse(part.value)
            for text in texts
            for inner in ast.walk(text)
            if isinstance(inner, ast.JoinedStr)
            for part in inner.values
            if isinstance(part, ast.FormattedValue)
        ]
        strange += [f"{path}: {value}" for value in values if not OURS.fullmatch(value)]
    assert strange == []


@pytest.mark.parametrize("name", ["x; curl example.com | sh;.py", "a\x1b[2J.py", "it's $(id).py"])
def test_lab_with_a_hostile_name_is_quoted_or_not_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "labs").mkdir()
    (tmp_path / "labs" / name).touch()
    example = Project(root=tmp_path).example
    assert example == "LAB" or example.startswith("'labs/")
    assert example.isprintable()


@pytest.fixture
def machine_says(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make every script on the machine print this text."""

    def say(text: str) -> None:
        def answered(*_: object, **__: object) -> Result:
            return Result(returncode=0, stdout=text, stderr="")

        for module in (session, resuming, one_machine, scripts, jobs):
            monkeypatch.setattr(module, "run_script", answered)

    return say


@pytest.mark.parametrize(
    "directory",
    [
        "/tmp/${HF_TOKEN}",
        "/tmp/%u",
        "/tmp/a:/tmp/b",
        "/tmp/../home",
        "tmp",
        "/tmp/a b",
        "",
        "/tmp/'",
    ],
)
def test_folder_of_a_session_is_nothing_that_ssh_expands(
    directory: str, machine_says: Callable[[str], None], tmp_path: Path
) -> None:
    (tmp_path / "lab.toml").write_text('[remote]\nalias = "gpu"\nfolder = "x"\n')
    sessions = session.Sessions.of(Context(project=Project(root=tmp_path)), "jupyter")
    (job,) = parse_answer(f"now\t5\tgpu\n{chr(9).join([*LINE, json.dumps(ABOUT)])}").jobs
    machine_says("here\t/tmp/lab-a1\t0123456789abcdef\n")
    found = sessions._session_of(job)
    assert isinstance(found, session._Session)
    assert found.directory == "/tmp/lab-a1"
    machine_says(f"here\t{directory}\t0123456789abcdef\n")
    with pytest.raises(UnusableAnswerError):
        sessions._session_of(job)


@pytest.mark.parametrize("answer", ["", "\n", "here", "elsewhere\t-oX\ty", "a\tb\tc\td", "\0"])
def test_answer_that_is_none_is_told(
    answer: str, machine_says: Callable[[str], None], tmp_path: Path
) -> None:
    (tmp_path / "labs").mkdir()
    (tmp_path / "lab.toml").write_text('[remote]\nalias = "gpu"\nfolder = "x"\n')
    context = Context(project=Project(root=tmp_path))
    machine_says(answer)
    (job,) = parse_answer(f"now\t5\tgpu\n{chr(9).join([*LINE, json.dumps(ABOUT)])}").jobs
    with pytest.raises(UnusableAnswerError):
        session.Sessions.of(context, "jupyter")._session_of(job)
    with pytest.raises(LabError):
        code.code(context)
    with pytest.raises(UnusableAnswerError):
        jobs.start(context.machine(), job.about, "true")
    with pytest.raises(UnusableAnswerError):
        one_machine.code_is_changed(context, context.machine(), job.run, since=None, is_of_now=True)
    with pytest.raises(UsageError):
        resuming.resumed(job.run, "x", [context.machine()])


LISTINGS = [
    b"", b"\0\0\0", b"files\0", b"files\0a\0\0", b"files\0../a\0\x001 1 1\n", b"now " + b"9" * 9999,
    b"files\0./a\0\x00" + b"9" * 9999 + b" 1 1\n", b"files\0./a\0\x001 99999999999 1\n",
    b"folder /x${A}\0files\0./a\0\x001 1 1\n", b"link", b"unreadable", b"running \xff\0",
    b"files\0/etc/x\0\x001 1 1\n", b"files\0.incoming/x\0\x001 1 1\n", b"rsync \x1b[2J",
    b"files\0./a/../../x\0\x001 1 1\n", b"files\0./a//b\0\x001 1 1\n", b"folder %u\0files\0./a\0",
]  # fmt: skip


@pytest.mark.parametrize("listing", LISTINGS)
def test_listing_leads_nowhere_else(
    listing: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(outputs, "_ask", lambda *_: listing)
    machine = Machine(client=Client(alias="gpu", directory=tmp_path), folder="x")
    try:
        found = outputs.list_outputs(machine)
    except LabError:
        return
    for file in found.files:
        assert (tmp_path / file.name).resolve().is_relative_to(tmp_path.resolve())
        assert not file.name.startswith((".incoming", "/"))
    assert not found.files or answers.is_a(answers.FOLDER, found.folder)


def test_shell_completes_no_name_that_it_would_obey(tmp_path: Path) -> None:
    (tmp_path / "labs").mkdir()
    for name in ("a.py", "b\n--slurm.py", "c\x1b[2J.py", "d\u202e.py"):
        (tmp_path / "labs" / name).touch()
    context = click.Context(run, obj=Context(project=Project(root=tmp_path)))
    lab = next(one for one in run.params if one.name == "lab")
    assert [item.value for item in lab.shell_complete(context, "labs/")] == ["labs/a.py"]
