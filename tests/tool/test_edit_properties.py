"""What holds for every configuration: thousands of generated ones, and the real ssh to ask."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ssh_tree import entry, filled, lay_out, picture

from ml_remote.errors import LabError, UsageError
from ml_remote.files import apply_changes
from ml_remote.ssh import ssh_config
from ml_remote.ssh.edits import changes_between
from ml_remote.ssh.entry import Entry, plain_options

pytestmark = pytest.mark.slow

# Flushing thousands of files to a disk would take minutes.
MEMORY = Path("/dev/shm")
MANY = settings(
    max_examples=2000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
SOME = settings(MANY, max_examples=100)
FEWER = settings(MANY, max_examples=500)

NAMES = ["a", "b", "web", "web.example.com", "büro", "10.0.0.7"]
PATTERNS = [*NAMES, "*", "w*", "?", "!b", "*.example.com", '"a"']
OPTIONS = [
    ("User", ["u", '"some one"', "müller"]),
    ("Port", ["22", "2200"]),
    ("HostName", ["h.example.com", "%h.example.com", "2001:db8::1"]),
    ("IdentityFile", ["~/.ssh/k", '"~/.ssh/my key"', "%d/k"]),
    ("IdentitiesOnly", ["yes", "no"]),
    ("ProxyJump", ["j", "u@j:2200,k", "none"]),
    ("ProxyCommand", ["nc %h %p", "none"]),
    ("LocalForward", ["6006 localhost:6006"]),
    ("SendEnv", ["LANG LC_*", "-LANG"]),
    ("ForwardAgent", ["yes", "no"]),
    ("ServerAliveInterval", ["5"]),
    ("ControlMaster", ["auto", "no"]),
    ("ControlPath", ["~/.ssh/%r@%h", "none"]),
    ("RequestTTY", ["no", "yes"]),
    ("SetEnv", ["A=b", '"A=b c"']),
]
OURS_ALWAYS = {"controlmaster", "controlpath", "controlpersist"}
INCLUDED = "Host inc\n    User included\nHost *\n    Compression yes\n"


@st.composite
def option_lines(draw: st.DrawFn) -> str:
    """Return a line that sets one option, in one of the ways people write it."""
    keyword, values = draw(st.sampled_from(OPTIONS))
    keyword = draw(st.sampled_from([keyword, keyword.lower(), keyword.upper()]))
    separator = draw(st.sampled_from([" ", "\t", "=", " = ", "   "]))
    indent = draw(st.sampled_from(["", "  ", "\t"]))
    end = draw(st.sampled_from(["", "", " ", "\t"]))
    return f"{indent}{keyword}{separator}{draw(st.sampled_from(values))}{end}"


@st.composite
def host_lines(draw: st.DrawFn) -> str:
    """Return a line that begins a Host block."""
    patterns = draw(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3))
    return f"{draw(st.sampled_from(['Host ', 'host=', 'HOST  ']))}{' '.join(patterns)}"


OTHER_LINES = st.sampled_from(
    [
        "",
        "   ",
        "# Host gpu",
        "#Include ~ssh/ml-remote.d/*.conf",
        "# Büro",
        "Match all",
        "Match host a,b",
        "Match host=a user=u",
        "Match originalhost web user u",
        'Match exec "touch ~ssh/ran"',
        'Match host a exec="touch ~ssh/ran"',
        "Include ~ssh/inc/*.conf",
        "Include ~ssh/none.conf",
        "IgnoreUnknown UseKeychain",
    ]
)


@st.composite
def configurations(draw: st.DrawFn) -> str:
    """Return a configuration that ssh can read, with any line endings, ended or not."""
    lines = draw(st.lists(st.one_of(option_lines(), host_lines(), OTHER_LINES), max_size=14))
    endings = draw(st.sampled_from([["\n"], ["\r\n"], ["\n", "\r\n"]]))
    text = "".join(line + draw(st.sampled_from(endings)) for line in lines)
    return text.rstrip("\r\n") if draw(st.booleans()) else text


@contextmanager
def ssh_directory(configuration: str | bytes | None) -> Iterator[Path]:
    """Yield an SSH directory with this configuration in it."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        directory = Path(folder) / "ssh"
        files: dict[str, str | bytes] = {"inc/x.conf": INCLUDED}
        if configuration is not None:
            files["config"] = configuration
        lay_out(directory, files)
        yield directory


def write_unverified(plan: ssh_config.Plan) -> None:
    """Write a plan without asking ssh about it: the properties must hold on their own."""
    apply_changes(list(changes_between(plan.before, plan.after)))


def connected(directory: Path) -> None:
    (directory / "ml-remote.d").mkdir(mode=0o700, exist_ok=True)
    write_unverified(ssh_config.plan_connect(entry(), directory=directory))


def disconnected(directory: Path) -> None:
    write_unverified(ssh_config.plan_disconnect("gpu", directory=directory))
    (directory / "ml-remote.d").rmdir()


def meanings(directory: Path, names: Sequence[str]) -> list[tuple[int, str]]:
    """Return what the real ssh says about each name, all asked at the same time.

    The commands of Match lines may run here, as the test itself asks; they are made harmless.
    """
    processes = [
        subprocess.Popen(
            ["ssh", "-G", "-F", str(directory / "config"), "--", name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    answers = []
    for process in processes:
        output, _ = process.communicate()
        answers.append((process.returncode, output))
    return answers


@MANY
@given(st.one_of(configurations(), st.text()))
def test_bytes_outside_ours_never_change(text: str) -> None:
    with ssh_directory(text) as directory:
        config = directory / "config"
        before = picture(directory)
        data = config.read_bytes()
        try:
            connected(directory)
        except LabError:  # not a text that ssh could read: it stays as it is
            (directory / "ml-remote.d").rmdir()
            assert picture(directory) == before
            return
        ending = b"\r\n" if data.partition(b"\n")[0].endswith(b"\r") and b"\n" in data else b"\n"
        ours = filled("Include ~ssh/ml-remote.d/*.conf", directory) + ending
        assert config.read_bytes() == ours + data
        again = ssh_config.plan_connect(entry(), directory=directory)
        assert again.is_empty
        disconnected(directory)
        assert picture(directory) == before


@st.composite
def edited_lines(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Return the lines before our edit, and after the person's; `None` is our line."""
    line = st.one_of(option_lines(), host_lines(), OTHER_LINES).map(lambda text: text + "\n")
    before = draw(st.lists(line, max_size=8))
    kept = [text for text in before if draw(st.booleans())]
    for added in draw(st.lists(line, max_size=4)):
        kept.insert(draw(st.integers(0, len(kept))), added)
    return before, kept


@FEWER
@given(edited_lines(), st.data())
def test_disconnecting_takes_only_our_line_out_of_an_edited_file(
    lines: tuple[list[str], list[str]], data: st.DataObject
) -> None:
    before, edited = lines
    with ssh_directory("".join(before)) as directory:
        config = directory / "config"
        connected(directory)
        ours, _, _ = config.read_bytes().partition(b"\n")
        place = data.draw(st.integers(0, len(edited)))
        parts = [filled(text, directory) for text in edited]
        config.write_bytes(b"".join([*parts[:place], ours + b"\n", *parts[place:]]))
        disconnected(directory)
        assert config.read_bytes() == b"".join(parts)


@FEWER
@given(configurations(), st.sampled_from([*NAMES, "unlisted"]))
def test_every_other_host_means_what_it_meant(text: str, name: str) -> None:
    with ssh_directory(text) as directory:
        (before,) = meanings(directory, [name])
        connected(directory)
        after, (status, ours) = meanings(directory, [name, "gpu"])
        assert after == before
        # What ssh could read before, it can read now, and our alias means what it should.
        assert (status == 0) == (before[0] == 0)
        if status == 0:
            assert {"hostname gpu.example.com", "user ada"} <= {*ours.splitlines()}


@SOME
@given(configurations())
def test_the_whole_edit_with_its_checks_runs_no_command_of_the_configuration(text: str) -> None:
    with ssh_directory(text) as directory:
        before = picture(directory)
        try:
            ssh_config.apply(ssh_config.plan_connect(entry(), directory=directory))
        except LabError:
            assert picture(directory) == before
            return
        assert not (directory / "ran").exists()
        ssh_config.apply(ssh_config.plan_disconnect("gpu", directory=directory))
        assert picture(directory) == before


# Pieces that mean something to ssh, to a shell, to glob or to percent and environment expansion.
PIECES = [
    *[
        "a",
        "ada",
        "gpu",
        "10.0.0.1",
        "::1",
        "@",
        ":",
        "22",
        "[",
        "]",
        ",",
        "-",
        "-oProxyJump=",
        "ü",
    ],
    *["\n", "\r", "\t", "\0", "\x1b", "\u2028", " ", "\n  ProxyCommand touch ran\n", "%h", "%%"],
    *["$(touch ran)", "`touch ran`", "${HOME}", "|", ";", "&", "<", ">", "(", ")", "\\", "'", '"'],
    *["*", "?", "!", "#", "=", "/", "~", "..", "ssh://", "none", "exec", "Host"],
]
HOSTILE = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join)


def built(alias: str, destination: str, jump: str, identity: str) -> Entry | None:
    """Return the entry of these answers, `None` where they are refused."""
    try:
        return entry(destination, alias=alias, jump=jump, identity=identity)
    except UsageError:
        return None


@MANY
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_a_hostile_answer_is_refused_or_means_only_itself(
    alias: str, destination: str, jump: str, identity: str
) -> None:
    accepted = [
        built(alias, "gpu.example.com", "", "/key"),
        built("gpu", destination, "", "/key"),
        built("gpu", "gpu.example.com", jump, "/key"),
        built("gpu", "gpu.example.com", "", f"/keys/{identity}"),
    ]
    for hostile in accepted:
        if hostile is None:
            continue
        plain = {keyword.lower(): value for keyword, value in plain_options(hostile).items()}
        with ssh_directory("Host other\n") as directory:
            (directory / "ml-remote.d").mkdir(mode=0o700)
            write_unverified(ssh_config.plan_connect(hostile, directory=directory))
            (status, output), (_, base) = meanings(directory, [hostile.alias, "unlisted"])
        assert status == 0
        added = {*output.splitlines()} - {*base.splitlines()}
        assert {line.partition(" ")[0] for line in added} <= {*plain, "host", *OURS_ALWAYS}
        assert f"hostname {plain['hostname']}" in output.splitlines()
