"""What people type after `ssh`: parsed, refused in words, rendered, and read back."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from ssh_tree import OURS, entry, lay_out, meaning

from ml_remote import errors
from ml_remote.errors import DamagedEntryError, UsageError
from ml_remote.ssh import address, ssh_config
from ml_remote.ssh.address import (
    EXAMPLES,
    Destination,
    alias_fault,
    parse_destination,
    parse_jump,
    remote_fault,
    suggest_remote,
    validate_alias,
)
from ml_remote.ssh.client import Client
from ml_remote.ssh.control_sockets import LONGEST_CONTROL_DIRECTORY
from ml_remote.ssh.edits import parse_entry, rendered
from ml_remote.ssh.entry import Entry, render
from ml_remote.ssh.ssh_directory import control_path

DESTINATIONS = {
    "gpu": ("gpu", None, None),
    "GPU.Example.COM": ("gpu.example.com", None, None),
    "  ada@gpu  ": ("gpu", "ada", None),
    "ada@gpu:2222": ("gpu", "ada", 2222),
    "gpu:22": ("gpu", None, 22),
    "10.0.0.5:2222": ("10.0.0.5", None, 2222),
    "ada@10.0.0.5": ("10.0.0.5", "ada", None),
    "gpu_1.example.com.": ("gpu_1.example.com.", None, None),
    "ssh://gpu": ("gpu", None, None),
    "ssh://ada@gpu:2222": ("gpu", "ada", 2222),
    "SSH://ada@gpu:2222/": ("gpu", "ada", 2222),
    "ssh://ada@[2001:db8::1]:2222": ("2001:db8::1", "ada", 2222),
    "[2001:db8::1]:2222": ("2001:db8::1", None, 2222),
    "ada@[2001:DB8::1]": ("2001:db8::1", "ada", None),
    "2001:db8::1": ("2001:db8::1", None, None),
    "ada@2001:db8::1": ("2001:db8::1", "ada", None),
    "::1": ("::1", None, None),
    "ada@corp.example.com@gpu": ("gpu", "ada@corp.example.com", None),
    "a.b-c_d+e~f@gpu": ("gpu", "a.b-c_d+e~f", None),
}


@pytest.mark.parametrize("text", DESTINATIONS)
def test_what_people_type_after_ssh_is_understood(text: str) -> None:
    host, user, port = DESTINATIONS[text]
    assert parse_destination(text) == Destination(host=host, user=user, port=port)


REFUSED = {
    "": "empty",
    "   ": "empty",
    "ssh://": "empty",
    "ssh ada@gpu": "Give it without `ssh`",
    "ada@gpu -p 2222": "Give it without `ssh`",
    "ada:secret@gpu": "Do not give a password",
    "ssh://ada:secret@gpu": "Do not give a password",
    "ada@gpu:/home/ada": "path",
    "ssh://gpu/home": "path",
    "gpu:": "port",
    "gpu:ssh": "port",
    "gpu:0": "Port 0",
    "gpu:65536": "Port 65536",
    "gpu:123456": "port",
    "gpu:-1": "port",
    "gpu:２２": "port",
    "@gpu": "user name",
    "-l@gpu": "user name",
    "ada lovelace@gpu": "not just an address",
    "CORP\\ada@gpu": "user name",
    "ada$@gpu": "user name",
    "$(id)@gpu": "user name",
    "ada;id@gpu": "user name",
    "ada@": "host name",
    "-oProxyCommand=id": "host name",
    "gpu%h": "host name",
    "${HOME}": "host name",
    "`id`": "host name",
    "gpu;id": "host name",
    "gpu|id": "host name",
    "gpu&id": "host name",
    "gpu<id>": "host name",
    "'gpu'": "host name",
    '"gpu"': "host name",
    "gpu*": "host name",
    "gpu#1": "host name",
    "rechner.büro.de": "host name",
    "a" * 254: "host name",
    "22": "four numbers",
    "10.0.0": "four numbers",
    "10.0.0.256": "four numbers",
    "gpu.0x7f": "four numbers",
    "[gpu]:22": "brackets",
    "[::1": "brackets",
    "[::1]22": "brackets",
    "2001:db8::zz": "IPv6",
    "fe80::1%eth0": "IPv6",
    "gpu\nProxyCommand id": "invisible character",
    "gpu\r": "invisible character",
    "gpu\t": "invisible character",
    "gpu\0": "invisible character",
    "gpu\x1b[31m": "invisible character",
    "gpu\u2028x": "invisible character",
    "gpu\u200b": "invisible character",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_value_that_could_change_the_meaning_of_the_file_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_destination(text)
    said = f"{caught.value} {caught.value.hint}"
    assert REFUSED[text] in said
    assert said.isprintable()
    assert "secret" not in said


def test_values_are_checked_however_a_destination_is_made() -> None:
    for values in ({"host": "a b"}, {"host": "a", "user": "-x"}, {"host": "a", "port": 0}):
        with pytest.raises(UsageError):
            Destination(**values)


@pytest.mark.parametrize("text", ["", "bastion", "ada@b:2222,c", "[::1]:22", "ssh://b,ada@[::1]"])
def test_jump_hosts_are_understood_and_written_as_ssh_reads_them(text: str, tmp_path: Path) -> None:
    jumping = entry(jump=text)
    lay_out(tmp_path / "ssh", {})
    ssh_config.apply(ssh_config.plan_connect(jumping, directory=tmp_path / "ssh"))
    assert ssh_config.read_entry("gpu", directory=tmp_path / "ssh") == jumping


@pytest.mark.parametrize("text", ["none", "a,,b", ",", "a,-b", "a;id", "a,$(id)", "a b", "a\nb"])
def test_a_jump_host_that_could_run_a_command_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_jump(text)


def test_a_machine_is_not_its_own_jump_host() -> None:
    with pytest.raises(UsageError, match="its own jump host"):
        entry(jump="bastion,ada@gpu:22")


@pytest.mark.parametrize("alias", ["gpu", "a", "gpu-1.lab_2", "a" * 63, "none", "10x"])
def test_an_alias_of_plain_letters_is_accepted(alias: str) -> None:
    assert validate_alias(alias) == alias


@pytest.mark.parametrize(
    "alias",
    [
        *["", "GPU", "-x", ".x", "_x", "a b", "a/b", "../a", "a*", "a?", "!a", "a%h", "ä", "a\n"],
        *["a\0", "a" * 64, "con", "nul.x", "com1", "localhost", "10.0.0.5", "127.1"],
    ],
)
def test_any_other_alias_is_refused(alias: str) -> None:
    with pytest.raises(UsageError, match="cannot be an alias"):
        validate_alias(alias)


def test_an_alias_that_is_refused_is_told_what_is_allowed() -> None:
    assert alias_fault("gpu") is None
    for alias in ("GPU", "con", "localhost"):
        with pytest.raises(UsageError) as caught:
            validate_alias(alias)
        assert f"Allowed: {alias_fault(alias)}." in str(caught.value)


@pytest.mark.parametrize("text", ["", *DESTINATIONS])
def test_what_names_a_machine_may_answer_the_question_for_it(text: str) -> None:
    assert remote_fault(text) is None


@pytest.mark.parametrize("text", REFUSED)
def test_what_names_no_machine_is_answered_with_what_does(text: str) -> None:
    if text:
        assert "user@host" in str(remote_fault(text))
    assert remote_fault(suggest_remote(text)) is None


def test_a_suggestion_keeps_what_can_be_used() -> None:
    assert suggest_remote("ssh://ada@gpu:99999") == "ada@gpu"
    assert suggest_remote("a da@gpu;id") == "ada@gpuid"
    assert suggest_remote("'") == "ada@gpu.example.com"


def test_the_rules_need_the_standard_library_only_and_speak_python_3_9() -> None:
    for module in (address, errors):
        ast.parse(inspect.getsource(module), feature_version=(3, 9))
    program = "import sys; sys.path.insert(0, sys.argv[1]); import ml_remote.ssh.address"
    source = str(Path(ssh_config.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, source], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", ["/k", "~/.ssh/k", "/with a blank/k", "/50% done/k", "/büro/k"])
def test_an_identity_file_is_written_so_that_ssh_finds_it(path: str, tmp_path: Path) -> None:
    directory = tmp_path / "ssh"
    lay_out(directory, {})
    ssh_config.apply(ssh_config.plan_connect(entry(identity=path), directory=directory))
    options = Client(alias="gpu", directory=directory).resolve()
    assert [text.replace("%%", "%") for text in options["identityfile"]] == [path]
    assert options["identitiesonly"] == ["yes"]
    known = ssh_config.read_entry("gpu", directory=directory)
    assert known is not None
    assert known.identity == Path(path)


@pytest.mark.parametrize("path", ["k", "./k", "/a\nb", '/a"b', "/a'b", "/a\\b", "/$HOME/k", "~k"])
def test_an_identity_file_that_cannot_be_written_safely_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="identity file"):
        entry(identity=path)


def test_without_a_key_an_entry_restricts_no_key() -> None:
    text = render(entry(), control_path=None)
    assert "Identit" not in text


def test_the_entry_leaves_to_the_person_what_is_theirs() -> None:
    text = render(entry(identity="/k"), control_path="/c/%C")
    for keyword in ("RemoteCommand", "RequestTTY", "HostKey", "KnownHosts", "ForwardX11"):
        assert keyword not in text
    assert "ForwardAgent no" in text


def test_connections_are_shared_where_the_socket_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    short, long = Path("/tmp/s"), Path(f"/tmp/{'long' * 12}")
    assert f'ControlPath "/tmp/s/{OURS}/%C"' in rendered(entry(), short).decode()
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(long))
    assert b"Control" not in rendered(entry(), long)
    with tempfile.TemporaryDirectory(prefix="s-") as session:
        monkeypatch.setenv("XDG_RUNTIME_DIR", session)  # its mode is 0700
        assert f'ControlPath "{session}/ml-remote-%C"' in rendered(entry(), long).decode()
        Path(session).chmod(0o755)  # others could listen there
        assert b"Control" not in rendered(entry(), long)
        monkeypatch.setenv("XDG_STATE_HOME", session)
        assert f'ControlPath "{session}/ml-remote/%C"' in rendered(entry(), long).decode()


def test_a_control_path_of_the_longest_directory_fits_a_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", f"/tmp/{'long' * 12}")
    room = LONGEST_CONTROL_DIRECTORY - len(f"/tmp//{OURS}")
    assert control_path(Path("/tmp") / ("x" * room)) is not None
    assert control_path(Path("/tmp") / ("x" * (room + 1))) is None
    # With ssh's own suffix while it is being made, and the null byte: macOS has the shorter limit.
    assert len(f"/tmp/{'x' * room}/{OURS}/{'0' * 40}.{'0' * 16}\0") <= 104


@pytest.mark.parametrize(
    "text",
    [
        *["", "Host gpu\n", "Host gpu other\n    HostName a\n", "Host x\n    HostName a\n"],
        *["Host gpu\n    HostName a\n    Port x\n", "Host gpu\n  HostName -a\n", "Host gpu\n\0"],
    ],
)
def test_an_entry_that_we_did_not_write_is_called_damaged(text: str, tmp_path: Path) -> None:
    with pytest.raises(DamagedEntryError, match="was changed since `lab connect` wrote it"):
        parse_entry(text.encode(), alias="gpu", path=tmp_path / "gpu.conf")


def test_entries_are_listed_without_the_damaged_ones(tmp_path: Path) -> None:
    directory = tmp_path / "ssh"
    lay_out(
        directory,
        {f"{OURS}/b.conf": "Host b\n  HostName x\n", f"{OURS}/a.conf": "?", f"{OURS}/c~": ""},
    )
    assert [known.alias for known in ssh_config.list_entries(directory)] == ["b"]
    assert ssh_config.read_entry("none-such", directory=directory) is None
    with pytest.raises(DamagedEntryError):
        ssh_config.read_entry("a", directory=directory)


# Answers that would run `touch ran`, did they get into the configuration as they are.
CANARIES = [
    "gpu\n    ProxyCommand touch {ran}",
    "gpu\r\nProxyCommand touch {ran}",
    "gpu\nMatch exec 'touch {ran}'",
    "-oProxyCommand=touch {ran}",
    "$(touch {ran})",
    "`touch {ran}`",
    "a@gpu;touch {ran}",
    "a@$(touch {ran})",
]


@pytest.mark.parametrize("answer", CANARIES)
@pytest.mark.parametrize("place", ["destination", "jump", "alias", "identity"])
def test_a_canary_command_never_runs(place: str, answer: str, tmp_path: Path) -> None:
    directory = tmp_path / "ssh"
    lay_out(directory, {"config": "Host a\n"})
    ran = tmp_path / "ran"
    answers = {"destination": "127.0.0.1:9", place: answer.replace("{ran}", str(ran))}
    with pytest.raises(UsageError):
        entry(**answers)
    assert not ran.exists()


def test_the_canary_command_would_run_if_it_got_in(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    text = f"Host gpu\n    HostName {CANARIES[0]}\n".replace("{ran}", str(ran))
    (tmp_path / "config").write_text(text)
    subprocess.run(["ssh", "-F", str(tmp_path / "config"), "gpu"], stdin=subprocess.DEVNULL)
    assert ran.exists()


def test_an_entry_survives_being_read_back() -> None:
    for known in (
        entry(),
        entry("gpu:22", jump="b,ada@[::1]:7", identity="/50%/k"),
        Entry(alias="x", destination=Destination(host="2001:db8::1", user="u", port=1)),
    ):
        text = render(known, control_path="/c/%C").encode()
        assert parse_entry(text, alias=known.alias, path=Path("x")) == known


def test_connections_are_not_shared_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = Path("/tmp/s")
    assert control_path(directory) is not None
    monkeypatch.setattr("ml_remote.ssh.ssh_directory.os.name", "nt")
    assert control_path(directory) is None


def test_the_block_can_be_pasted_for_programs_that_do_not_read_include(tmp_path: Path) -> None:
    person = "Compression yes\nHost a\n    User u\n"
    lay_out(tmp_path / "ssh", {"config": person})
    before = meaning("a", directory=tmp_path / "ssh")
    block = render(entry(), control_path=None)
    (tmp_path / "ssh/config").write_text(f"{block}Host *\n{person}")
    assert meaning("a", directory=tmp_path / "ssh") == before
    assert meaning("gpu", directory=tmp_path / "ssh")["hostname"] == "gpu.example.com"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ssh ada@gpu", "ada@gpu"),
        ("ssh -p 22 ada@x.example", "ada@x.example:22"),
        ("ssh -p2222 -i key ada@x.example", "ada@x.example:2222"),
        ("ssh x.example -l ada -v", "ada@x.example"),
        ("ssh -p 22 olga@$(id)", None),
    ],
)
def test_address_is_found_in_a_command(text: str, address: str | None) -> None:
    assert suggest_remote(text) == address or address is None
    with pytest.raises(UsageError) as caught:
        parse_destination(text)
    assert f"options: {address or EXAMPLES}." in str(caught.value.hint)
    assert "$(" not in suggest_remote(text)


@pytest.mark.parametrize(
    ("text", "lacks"), [("olga@", "host name behind"), ("@gpu", "user name before")]
)
def test_half_an_address_is_told(text: str, lacks: str) -> None:
    with pytest.raises(UsageError, match=f"lacks the {lacks} the @"):
        parse_destination(text)
