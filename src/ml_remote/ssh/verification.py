"""Asking the real `ssh -G` what a configuration means, before and after an edit, on copies of it.

Nothing here writes outside a temporary directory. `ssh -G` reads a configuration and prints what
would hold for a host. It connects to nothing, but it runs the commands of `Match exec` lines; so
where such a line occurs, in the configuration or in a file that it includes, all of these are
copied with that line replaced by one that never matches, and verified as far as they go without it.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from .. import processes
from ..errors import ConfigurationError, UnsafeEditError
from .entry import Entry, plain_options
from .shadow import Shadow, write_shadow
from .ssh_directory import State

__all__ = ["check", "resolve"]

MOST_OTHERS = 50
SECONDS_FOR_OTHERS = 3.0
SECONDS_FOR_ONE = 10.0
# A name that no configuration knows: it shows whether something leaks into all hosts.
UNLISTED = "unlisted-host.invalid"

Options = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class _Answer:
    """What `ssh -G` said; `complaint` is why it failed, in its own words, empty when it did not."""

    output: str
    complaint: str

    @property
    def options(self) -> Options:
        """The values for each keyword, which is in lower case, in their order."""
        found: dict[str, list[str]] = {}
        for line in self.output.splitlines():
            keyword, _, value = line.partition(" ")
            found.setdefault(keyword.lower(), []).append(value)
        return {keyword: tuple(values) for keyword, values in found.items()}


def check(
    before: State, after: State, *, alias: str, entry: Entry | None, instructions: str
) -> list[str]:
    """Check that `alias` means `entry` after the edit, and every other alias what it meant.

    At most 50 of the others are asked for, evenly spread, for at most 3 seconds. Returns sentences
    for the person. Raises UnsafeEditError, with `instructions`, when the edit would do harm or
    cannot be checked; ConfigurationError when the entry's address is itself an alias of the
    person's.
    """
    with _shadows(before, after) as (old, new):
        try:
            return list(_findings(old, new, before=before, alias=alias, entry=entry))
        except _Harm as harm:
            raise UnsafeEditError(harm.message, instructions=instructions, hint=harm.hint) from None


def resolve(alias: str, state: State) -> Options:
    """Return what holds for `alias`. Raises ConfigurationError when ssh cannot read the files."""
    with _shadows(state) as (shadow,):
        (answer,) = _ask([shadow], alias, seconds=SECONDS_FOR_ONE)
    if answer.complaint:
        raise _unreadable(answer.complaint)
    return answer.options


class _Harm(ConfigurationError):
    """The edit would do harm, or nobody could tell."""


def _findings(
    old: Shadow, new: Shadow, *, before: State, alias: str, entry: Entry | None
) -> Iterator[str]:
    was, becomes = _ask([old, new], alias, seconds=SECONDS_FOR_ONE)
    if becomes.complaint and not (entry is None and was.complaint):
        if was.complaint:  # its line numbers are those of the file as it is
            raise _unreadable(was.complaint)
        raise _Harm(f"ssh would then fail: {becomes.complaint}")
    if new.left_out:
        yield (
            "Lines that run a command or that only ssh itself can follow (Match exec, Include with "
            f"variables) were left out of the check: {new.left_out} of them."
        )
    if was.complaint:
        yield f"ssh could not read its configuration before: {was.complaint}"
    if entry is not None:
        _check_meaning(entry, becomes.options)
        yield from _unasked_options(entry, becomes.options)
    if was.complaint:
        return
    if entry is not None:
        yield from _differences_from_address(entry, old, becomes.options)
    yield from _check_others(old, new, before=before, alias=alias)


def _check_meaning(entry: Entry, options: Mapping[str, Sequence[str]]) -> None:
    for keyword, value in plain_options(entry).items():
        got = [_comparable(text) for text in options.get(keyword.lower(), ())]
        if got[:1] != [_comparable(value)] and not _same_address(value, got):
            raise _Harm(
                f"`ssh {entry.alias}` would have {keyword} {' '.join(got[:1]) or 'none'} instead "
                f"of {value}.",
                hint="See what in your configuration speaks of it, or choose another alias.",
            )


def _comparable(value: str) -> str:
    """Return a value without what some versions of ssh print differently from what was written.

    Jump hosts that are addresses come in brackets; `%` comes doubled or not.
    """
    return value.replace("[", "").replace("]", "").replace("%%", "%")


def _same_address(host: str, got: Sequence[str]) -> bool:
    """Return whether two IPv6 addresses, of which ssh has many spellings, are the same."""
    import ipaddress  # costs milliseconds that few calls need

    try:
        return [ipaddress.IPv6Address(text) for text in got[:1]] == [ipaddress.IPv6Address(host)]
    except ValueError:
        return False


def _unasked_options(entry: Entry, options: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield what the person's own wildcards add to the entry, where that is likely to matter."""
    keywords = ["proxycommand"] if entry.jump else ["proxyjump", "proxycommand"]
    for keyword in keywords:
        for value in options.get(keyword, ()):
            yield f"Your configuration adds {keyword} {value} to {entry.alias}."
    for keyword in ("remotecommand", "requesttty"):
        for value in options.get(keyword, ()):
            if value not in ("auto", "false", "no", "none"):
                yield (
                    f"Your configuration adds {keyword} {value} to {entry.alias}: VS Code cannot "
                    "connect while it does."
                )


def _differences_from_address(
    entry: Entry, old: Shadow, options: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Compare the alias with what `ssh` makes of the bare address in the person's configuration."""
    host = entry.destination.host
    (answer,) = _ask([old], host, seconds=SECONDS_FOR_ONE)
    meant = answer.options.get("hostname", (host,))[0]
    if not answer.complaint and meant != host and not _same_address(host, [meant]):
        raise ConfigurationError(
            f"{host} is an alias in your configuration and stands for {meant}; ssh would look for "
            f"a machine that is really called {host}.",
            hint=f"Give the address {meant} instead, or use that entry as it is: in lab.toml, "
            f'alias = "{host}" in [remote]',
        )
    for keyword, option in (("proxyjump", "--jump"), ("proxycommand", None)):
        through = answer.options.get(keyword)
        if through and not options.get(keyword) and not entry.jump:
            remedy = f"; for the same, add {option} {through[0]}" if option else ""
            yield (
                f"`ssh {host}` goes through {through[0]} by your configuration, "
                f"`ssh {entry.alias}` does not{remedy}."
            )


def _check_others(old: Shadow, new: Shadow, *, before: State, alias: str) -> Iterator[str]:
    others = [name for name in _named_hosts(old, before) if name != alias]
    step = max(1, -(-len(others) // MOST_OTHERS))
    sample = others[::step]
    deadline = time.monotonic() + SECONDS_FOR_OTHERS
    checked = 0
    for name in [UNLISTED, *sample]:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            was, becomes = _ask([old, new], name, seconds=left)
        except _Harm:
            break  # out of time
        # Where ssh refuses a host before and after, its messages may differ in a line number.
        if was != becomes and not (was.complaint and becomes.complaint):
            raise _Harm(
                f"`ssh {name}` would change its meaning: {_first_difference(was, becomes)}.",
                hint="Add the text by hand, if you mean it.",
            )
        checked += name != UNLISTED
    if checked < len(others):
        yield f"{checked} of your {len(others)} other hosts were checked; none of them changes."


def _named_hosts(shadow: Shadow, state: State) -> list[str]:
    """Return all hosts that the configuration names literally, ours included, once each."""
    names = (name for source in shadow.sources for _, name in source.named_hosts())
    ours = (name.removesuffix(".conf") for name in state.entries)
    return list(dict.fromkeys([*names, *ours]))


def _first_difference(was: _Answer, becomes: _Answer) -> str:
    if becomes.complaint:
        return becomes.complaint
    changed = {*becomes.output.splitlines()} ^ {*was.output.splitlines()}
    return min(changed, default="its options would come in another order")


@contextmanager
def _removed_when_killed(folder: str) -> Iterator[None]:
    """Have a folder removed even when this process is killed: a helper sees its input end then."""
    if shutil.which("sh") is None:  # as on Windows
        yield
        return
    helper = ["sh", "-c", 'cat >/dev/null; exec rm -rf -- "$1"', "sh", folder]
    # In a session of its own: what ends this process's group leaves it alone.
    with processes.running(helper, discard_output=True, own_session=True):
        yield


@contextmanager
def _shadows(*states: State) -> Iterator[list[Shadow]]:
    with tempfile.TemporaryDirectory(prefix="lab-ssh-") as folder, _removed_when_killed(folder):
        yield [
            write_shadow(state, Path(folder) / str(number)) for number, state in enumerate(states)
        ]


def _ask(shadows: Sequence[Shadow], alias: str, *, seconds: float) -> list[_Answer]:
    """Return what ssh says about `alias` in each of the configurations, asked at the same time.

    Raises _Harm when there is no ssh, or when it takes longer than `seconds`.
    """
    deadline = time.monotonic() + seconds
    with ExitStack() as running:
        try:
            programs = [running.enter_context(_asking(shadow, alias)) for shadow in shadows]
        except ConfigurationError as missing:
            raise _Harm(
                f"{missing.message} The configuration cannot be checked without it.",
                hint=missing.hint,
            ) from None
        try:
            results = [
                program.result(timeout=max(0.0, deadline - time.monotonic()))
                for program in programs
            ]
        except subprocess.TimeoutExpired:
            raise _Harm(
                f"`ssh -G {alias}` did not end within {seconds:.0f} seconds, so the configuration "
                "cannot be checked.",
                hint=f"Try `ssh -G {alias}` yourself.",
            ) from None
    return [_answer(result, shadow) for result, shadow in zip(results, shadows, strict=True)]


def _asking(shadow: Shadow, alias: str) -> AbstractContextManager[processes.Running]:
    # Names are looked up nowhere: without this, CanonicalizeHostname would ask the network.
    plain = ["-o", "CanonicalizeHostname=no"]
    return processes.running(["ssh", "-G", "-F", str(shadow.config), *plain, "--", alias])


def _answer(result: processes.Result, shadow: Shadow) -> _Answer:
    if result.returncode == 0:
        return _Answer(result.stdout, "")
    lines = [
        line.strip()
        for line in result.stderr.splitlines()
        if line.strip() and not line.startswith("Pseudo-terminal") and "terminating, " not in line
    ]
    return _Answer(
        result.stdout, shadow.with_real_paths(lines[0] if lines else "it gave no reason")
    )


def _unreadable(complaint: str) -> _Harm:
    hint = "Mend that, and run this again."
    if "usekeychain" in complaint.lower():
        hint = (
            "UseKeychain is known on macOS only. Put `IgnoreUnknown UseKeychain` on a line before "
            "it, and run this again."
        )
    return _Harm(f"ssh cannot read its configuration: {complaint}", hint=hint)
