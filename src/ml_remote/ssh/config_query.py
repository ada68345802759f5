"""Asking the real `ssh -G` what a configuration means, so that no command of it runs.

`ssh -G` connects to nothing, but it runs the commands of `Match exec` lines, in the shell that
`SHELL` names: it gets one that runs nothing and fails, so that such a line holds for no host. On
Windows ssh has a shell of its own for that, so there such lines are taken out of a copy, which has
every included file in it. Only the ssh that logs in runs them.

`check` asks about an edit before it is written, on a copy. Other hosts keep their meaning by
construction: our line is the very first, and what it includes is a block that ends with its file,
for an alias that nobody else names. So only our alias is asked about, and the bare address, which
may mean something to the person's configuration already.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .. import processes
from ..errors import AliasTakenError, ConfigurationError
from ..files import read_bytes
from ..processes import Result
from .configuration import Line, included_files, parse, read_sources
from .entry import Entry, plain_options
from .ssh_directory import (
    State,
    our_directory,
    our_include,
    read_state,
    ssh_options,
    whole_configuration,
)

__all__ = ["FOR_COMMANDS", "SECONDS", "check", "has_commands", "query", "quiet_shell", "write_copy"]

SECONDS = 10.0
"""Seconds for ssh to read a configuration."""
FOR_COMMANDS = {"SessionType": "default", "StdinNull": "no"}
"""What these options must be for programs that run commands; ssh before 8.7 has neither."""
_NOISE = re.compile(r"$|Pseudo-terminal|.*terminating, ")

Options = dict[str, list[str]]


def query(
    alias: str, directory: Path, flags: Sequence[str] = (), *, default_keys: bool = True
) -> tuple[Options, Result]:
    """Ask ssh what it makes of an alias with the configuration in `directory`.

    Return the values by lower-case keyword, and what came of it. `flags` are further arguments of
    ssh; for `default_keys` see ssh_options. Raises ConfigurationError where there is no ssh, or
    where it takes too long.
    """
    shell = quiet_shell()
    if shell:
        return _ask_ssh(alias, [*ssh_options(directory, default_keys=default_keys), *flags], shell)
    with _copied(read_state(directory), is_whole=True) as (config, _):
        whole = config.with_name("whole")
        text = whole_configuration(directory, config, default_keys=default_keys)
        whole.write_text(text, encoding="utf-8")
        return _ask_ssh(alias, ["-F", str(whole), *flags], shell)


def _ask_ssh(alias: str, flags: Sequence[str], shell: Mapping[str, str]) -> tuple[Options, Result]:
    try:
        result = processes.run(["ssh", "-G", *flags, "--", alias], timeout=SECONDS, variables=shell)
    except subprocess.TimeoutExpired:
        raise ConfigurationError(
            f"`ssh -G {alias}`, which reads your SSH configuration, did not end within "
            f"{SECONDS:.0f} seconds.",
            hint=f"To see it yourself: ssh -G {alias}",
        ) from None
    options: Options = {}
    for line in result.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        options.setdefault(keyword.lower(), []).append(value)
    return options, result


def quiet_shell() -> dict[str, str]:
    """Return the variables with which ssh runs no command; none where a copy has to do."""
    shell = None if processes.is_windows() else shutil.which("false", path="/bin:/usr/bin")
    return {} if shell is None else {"SHELL": shell}


def has_commands(directory: Path) -> bool:
    """Return whether the configuration has a `Match exec`: then only a login knows all it means."""
    config = directory / "config"
    sources = read_sources(config, read_bytes(config) or b"")
    return any(line.runs_command for lines in sources.values() for line in lines)


@contextmanager
def _copied(state: State, *, is_whole: bool) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield the file of a copy of the configuration, and what `write_copy` returns of it.

    It is removed even when this process is killed: a helper sees its input end then.
    """
    with tempfile.TemporaryDirectory(prefix="lab-ssh-") as place, ExitStack() as stack:
        if shutil.which("sh"):  # not on Windows
            remover = ["sh", "-c", 'cat >/dev/null; exec rm -rf -- "$1"', "sh", place]
            # In a session of its own: what ends this process's group leaves it alone.
            stack.enter_context(processes.running(remover, discard_output=True, own_session=True))
        folder = Path(place) / "copy"
        names = write_copy(state, folder, is_whole=is_whole)
        yield folder / "config", names


def write_copy(state: State, folder: Path, *, is_whole: bool) -> dict[str, str]:
    """Write a copy of the configuration that `ssh -F folder/config` reads like the original.

    Returns the names of the originals by those of their copies. Our own entries are copied always.
    A whole copy has every included file in it, and no line that runs a command.
    """
    ours, is_ours = our_directory(state.directory), our_include(state.directory).fullmatch
    data = state.data or b""
    contents = read_sources(state.config, data) if is_whole else {state.config: parse(data)}
    copies = {path: folder / f"included-{number}" for number, path in enumerate(contents)}
    copies[state.config] = folder / "config"
    for name, entry in state.entries.items():
        contents[ours / name], copies[ours / name] = parse(entry), folder / "ours" / name

    def copy_of(line: Line) -> bytes:
        if is_ours(line.raw):
            return f'Include "{folder.as_posix()}/ours/*.conf"\n'.encode()
        if is_whole and line.runs_command:
            return b"Host !*\n"  # a block that is for no host at all
        if is_whole and line.keyword.startswith("include"):
            files = [copies[path] for path in included_files(line) if path in copies]
            names = " ".join(f'"{path.as_posix()}"' for path in files)
            return f"Include {names}\n".encode() if names else b"\n"
        return line.raw

    (folder / "ours").mkdir(parents=True)
    for path, copy in copies.items():
        copy.write_bytes(b"".join(map(copy_of, contents[path])))
        copy.chmod(0o600)  # ssh refuses an included file that others may write
    return {str(copy): str(path) for path, copy in copies.items()}


def check(before: State, after: State, *, entry: Entry) -> list[str]:
    """Check that the alias means `entry` after the edit; return sentences for the person.

    Raises ConfigurationError when it does not, or cannot be asked about; AliasTakenError when the
    entry's address is itself an alias of the person's.
    """
    address, fault = _ask(before, entry.destination.host)
    options, new_fault = _ask(after, entry.alias)
    if new_fault:  # the line numbers are those of the file as it is, where it has the fault already
        fault = fault or new_fault
        hint = "Fix that, then run the command again."
        if "usekeychain" in fault.lower():
            hint = (
                "UseKeychain is known on macOS only. Put `IgnoreUnknown UseKeychain` on a line "
                "before it, then run the command again."
            )
        raise ConfigurationError(f"ssh cannot read its configuration: {fault}", hint=hint)
    for keyword, value in plain_options(entry).items():
        got = next(iter(options.get(keyword.lower(), ())), "none")
        if _comparable(got) != _comparable(value):
            raise ConfigurationError(
                f"`ssh {entry.alias}` would have {keyword} {got} instead of {value}.",
                hint="Find what in your configuration affects it, or choose another alias.",
            )
    notes = [*_unasked_options(entry, options)]
    if fault:
        notes.append(f"ssh could not read its configuration before: {fault}")
    else:
        notes += _differences_from_address(entry, address, options)
    if has_commands(before.directory):
        notes.append("The check ran no command of Match exec lines in your configuration.")
    return notes


def _ask(state: State, alias: str) -> tuple[Options, str]:
    """Return what ssh says about an alias, and why it failed if it did."""
    shell = quiet_shell()
    with _copied(state, is_whole=not shell) as (config, names):
        # Names are looked up nowhere: without this, CanonicalizeHostname would ask the network.
        flags = ["-F", str(config), "-o", "CanonicalizeHostname=no"]
        options, result = _ask_ssh(alias, flags, shell)
    if result.returncode == 0:
        return options, ""
    said = [line for line in map(str.strip, result.stderr.splitlines()) if not _NOISE.match(line)]
    fault = said[0] if said else "it gave no reason"
    for copy in sorted(names, reverse=True):  # included-10 before included-1
        fault = fault.replace(copy, names[copy])
    return options, fault


def _comparable(value: str) -> str:
    """Return a value without what some versions of ssh print differently from what was written.

    Jump hosts that are addresses come in brackets; `%` comes doubled or not; an IPv6 address has
    many spellings.
    """
    import ipaddress  # costs milliseconds that few calls need

    try:
        return str(ipaddress.IPv6Address(value))
    except ValueError:
        return value.replace("[", "").replace("]", "").replace("%%", "%")


def _unasked_options(entry: Entry, options: Options) -> Iterator[str]:
    """Yield what the person's own wildcards add to the entry, where that is likely to matter."""
    ours = {keyword.lower() for keyword in plain_options(entry)}
    for keyword in ("proxyjump", "proxycommand", "remotecommand", "requesttty"):
        for value in () if keyword in ours else options.get(keyword, ()):
            sentence = f"Your configuration adds {keyword} {value} to {entry.alias}"
            if keyword.startswith("proxy"):
                yield f"{sentence}."
            elif value not in ("auto", "false", "no", "none"):
                yield f"{sentence}: VS Code cannot connect while it does."
    for option, needed in FOR_COMMANDS.items():
        (value, *_) = options.get(option.lower(), [needed])
        if value != needed:
            yield (
                f"Your configuration adds {option} {value} to {entry.alias}: neither lab nor VS "
                "Code can connect while it does."
            )


def _differences_from_address(entry: Entry, address: Options, options: Options) -> Iterator[str]:
    """Compare the alias with what `ssh` makes of the bare address in the person's configuration."""
    host = entry.destination.host
    (meant, *_) = address.get("hostname", (host,))
    if _comparable(meant) != _comparable(host):
        raise AliasTakenError(
            f"{host} is an alias in your configuration and means {meant}; ssh would look for a "
            f"machine with the real name {host}.",
            hint=f"Give the address {meant} instead, or use that entry as it is: in lab.toml, "
            f'alias = "{host}" in [remote]',
        )
    for keyword, option in (("proxyjump", "; for the same, add --jump {}"), ("proxycommand", "")):
        for through in () if options.get(keyword) or entry.jump else address.get(keyword, ()):
            yield (
                f"`ssh {host}` goes through {through} by your configuration, "
                f"`ssh {entry.alias}` does not{option.format(through)}."
            )
