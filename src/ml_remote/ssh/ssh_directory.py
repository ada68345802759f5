"""What is in the SSH directory: the person's configuration, and our own directory beside it."""

from __future__ import annotations

import atexit
import codecs
import errno
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Literal

from ..errors import ConfigurationError
from ..files import read_bytes, typed_path
from .configuration import home_directory, include_home, parse
from .control_sockets import socket_place

__all__ = [
    "State",
    "check_directories",
    "control_path",
    "default_keys_for",
    "include_line",
    "is_default_directory",
    "known_hosts_path",
    "made_key_path",
    "our_directory",
    "our_include",
    "pinned_key_path",
    "read_state",
    "shown_options",
    "ssh_directory",
    "ssh_options",
    "whole_configuration",
]

OURS = "ml-remote.d"
BACKUPS = ".backup"
# The keys that ssh tries where no configuration names one.
_DEFAULT_KEYS = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")
_ALIAS = re.compile(r"[\w.-]+")
_IDENTITY = re.compile(rb"(?mi)^\s*IdentityFile\b")
# Its presence says that there was no configuration at all before our first edit.
NO_CONFIG_MARK = ".config-was-missing"
# What glob, quoting or expansion in ssh would give a meaning to, in a path that we must write
# there; and bytes that are not UTF-8.
ODD_IN_PATH = re.compile(r"[\x00-\x1f\x7f\"'\\$%*?\[\]{}\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class State:
    """The SSH directory's content, as read at one time.

    `config` is the person's file with symbolic links resolved, `data` what it holds (`None` when
    there is no such file); `entries` are the `*.conf` files of our own directory, by name.
    """

    directory: Path
    config: Path
    data: bytes | None
    entries: Mapping[str, bytes]
    config_was_missing: bool

    @property
    def include_position(self) -> Literal["first", "later", "missing"]:
        """Where our Include is: before everything but comments, further down, or nowhere."""
        data = self.data or b""
        found = our_include(self.directory).search(data)
        if found is None:
            return "missing"
        is_later = any(line.keyword for line in parse(data[: found.start()]))
        return "later" if is_later else "first"


def ssh_directory() -> Path:
    """Return the directory whose `config` is edited and used: `$LAB_SSH_DIR`, or `~/.ssh`.

    Raises ConfigurationError when LAB_SSH_DIR cannot be written into an SSH configuration, and
    UsageError when it begins with `~user` for a user who is not known.
    """
    chosen = os.environ.get("LAB_SSH_DIR", "")
    if not chosen:
        return home_directory() / ".ssh"
    directory = Path(os.path.abspath(typed_path(chosen)))  # noqa: PTH100 - links stay
    odd = ODD_IN_PATH.search(directory.as_posix())
    if odd:
        raise ConfigurationError(
            f"LAB_SSH_DIR is {str(directory)!r}, and a path with {odd[0]!r} cannot be written into "
            "an SSH configuration.",
            hint="Choose a directory whose path has only letters, digits, spaces and . _ -",
        )
    return directory


def is_default_directory(directory: Path) -> bool:
    """Return whether ssh reads the configuration in `directory` without being told to."""
    return directory == home_directory() / ".ssh"


def shown_options(directory: Path) -> list[str]:
    """Return the options that make ssh read the configuration in `directory`, for people."""
    if is_default_directory(directory):
        return []
    config = directory / "config"
    return ["-F", str(config) if config.exists() else "none"]


def ssh_options(directory: Path, *, default_keys: bool = True) -> list[str]:
    """Return the options that make ssh read the configuration in `directory`, and nothing else.

    What that leaves open, such as the known hosts, ssh would look for in the home directory of the
    password database. So it gets a configuration that includes the person's and then names the
    files of `directory`: the first value counts, also for a jump host. `default_keys` says whether
    the keys that ssh tries by default may be among them: it does so only where no other is named.
    """
    if is_default_directory(directory):
        return []
    check_directories(directory)
    text = whole_configuration(directory, directory / "config", default_keys=default_keys)
    file = _own_folder() / sha256(text.encode()).hexdigest()[:16]
    if not file.exists():
        file.write_text(text, encoding="utf-8")
    return ["-F", str(file)]


def whole_configuration(directory: Path, config: Path, *, default_keys: bool) -> str:
    """Return a configuration that includes `config`, then names the files of `directory`."""
    known = " ".join(f'"{directory.as_posix()}/{name}"' for name in ("known_hosts", "known_hosts2"))
    text = f'Include "{config.as_posix()}"\nMatch all\n  UserKnownHostsFile {known}\n'
    if not default_keys:
        return text
    # Every IdentityFile counts, not the first alone.
    others = ",".join(["*", *(f"!{alias}" for alias in _with_key(directory))])
    identities = [f'"{path.as_posix()}"' for path in _default_keys(directory)] or ["none"]
    lines = (f"  IdentityFile {identity}\n" for identity in identities)
    return f"{text}Match originalhost {others}\n{''.join(lines)}"


def _with_key(directory: Path) -> list[str]:
    """Return the aliases whose entries name a key."""
    found = []
    for path in sorted(our_directory(directory).glob("*.conf")):
        with suppress(OSError):  # ssh itself says what is wrong with it
            if _ALIAS.fullmatch(path.stem) and _IDENTITY.search(path.read_bytes()):
                found.append(path.stem)
    return found


def default_keys_for(alias: str, directory: Path) -> list[Path]:
    """Return the keys of `directory` that ssh tries for an alias whose entry names none."""
    return [] if alias in _with_key(directory) else _default_keys(directory)


def _default_keys(directory: Path) -> list[Path]:
    return [path for name in _DEFAULT_KEYS if (path := directory / name).is_file()]


def _own_folder() -> Path:
    """Return a folder of this process's own; another one where something has tidied /tmp."""
    with suppress(FileNotFoundError):
        status = _made_folder().lstat()
        if os.name != "posix" or status.st_uid == os.getuid():
            return _made_folder()
    _made_folder.cache_clear()
    return _made_folder()


@cache
def _made_folder() -> Path:
    """Return a new folder, which is removed at the end of this process."""
    folder = Path(tempfile.mkdtemp(prefix="lab-ssh-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def our_directory(directory: Path) -> Path:
    """Return where our own entries are, one file for each alias."""
    return directory / OURS


def made_key_path(alias: str, directory: Path) -> Path:
    """Return where a key is that was made for this machine."""
    return our_directory(directory) / f"{alias}.key"


def known_hosts_path(alias: str, directory: Path) -> Path:
    """Return where the host key of a compute node is, which has one of its own."""
    return our_directory(directory) / f"{alias}.known_hosts"


def pinned_key_path(alias: str, directory: Path) -> Path:
    """Return where the public half of a key is that only the agent has."""
    return our_directory(directory) / f"{alias}.agent.pub"


def include_line(directory: Path) -> str:
    """Return the one line that makes ssh read our entries, without a line ending.

    Its path is absolute unless ssh would take a relative one from this very directory.
    """
    if is_default_directory(directory) and include_home() == home_directory():
        return f"Include {OURS}/*.conf"
    pattern = f"{our_directory(directory).as_posix()}/*.conf"
    return f'Include "{pattern}"' if " " in pattern else f"Include {pattern}"


def our_include(directory: Path) -> re.Pattern[bytes]:
    """Return the pattern of a line that is our Include and nothing more, indented or quoted."""
    forms = [f"{our_directory(directory).as_posix()}/*.conf"]
    if is_default_directory(directory):
        forms += [f"{OURS}/*.conf", f"~/.ssh/{OURS}/*.conf"]
    form = os.fsencode("|".join(map(re.escape, forms)))
    blank = rb"[ \t\r\f=]"
    line = rb'(?m)^%b*(?i:include)%b+"?(?:%b)"?%b*(?:\n|\Z)'
    return re.compile(line % (blank, blank, form, blank))


def control_path(directory: Path) -> str | None:
    """Return the ControlPath for entries in `directory`, or `None` where none is possible.

    That is on Windows, whose ssh cannot share connections, and where no place takes a socket: ssh
    would only notice it when connecting. Where our own directory takes none, another one does.
    """
    ours = our_directory(directory)
    place = None if os.name == "nt" else socket_place(ours)
    if place is None or ODD_IN_PATH.search(place):
        return None
    is_usual = place == f"{ours.as_posix()}/" and is_default_directory(directory)
    return f"~/.ssh/{OURS}/%C" if is_usual else f"{place}%C"


def read_state(directory: Path) -> State:
    """Read all that an edit depends on.

    Raises ConfigurationError on anything that cannot be read and understood in full: only a file
    that does not exist counts as empty.
    """
    ours, config = our_directory(directory), directory / "config"
    check_directories(directory)
    try:
        if config.is_symlink() and not config.exists():
            raise ConfigurationError(
                f"{config} is a symbolic link to {os.readlink(config)}, which does not lead to a "  # noqa: PTH115
                "file.",
                hint="Fix or remove the link, then run the command again.",
            )
        data = _read_ordinary_file(config)
        found = {path.name: _read_ordinary_file(path) for path in sorted(ours.glob("[!.]*.conf"))}
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename or directory} cannot be read: {error.strerror or error}.",
            hint="Fix that, then run the command again.",
        ) from None
    _check_encoding(config, data or b"")
    return State(
        directory=directory,
        config=config.resolve() if config.is_symlink() else config,
        data=data,
        entries={name: content for name, content in found.items() if content is not None},
        config_was_missing=(ours / NO_CONFIG_MARK).is_file(),
    )


def check_directories(directory: Path) -> None:
    """Raise ConfigurationError where the SSH directory, or ours in it, is there but unreadable."""
    for folder in (directory, our_directory(directory)):
        try:
            os.scandir(f"{folder}/.").close()  # it must be both read and entered
        except OSError as error:
            if not os.path.lexists(folder):
                return
            if isinstance(error, PermissionError):
                name = shlex.quote(str(folder))
                raise ConfigurationError(
                    f"You may not read the directory {folder}.",
                    hint=f'chmod u+rwx {name}; if that is refused: sudo chown "$USER" {name}',
                ) from None
            raise ConfigurationError(
                f"{folder} is not a directory.", hint="Move it away, then run the command again."
            ) from None


def _read_ordinary_file(path: Path) -> bytes | None:
    """Return the content of a file, `None` if it does not exist. Raises OSError otherwise."""
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise OSError(errno.EINVAL, "it is not an ordinary file", str(path))
    return read_bytes(path)


def _check_encoding(path: Path, data: bytes) -> None:
    """Reject a configuration that is not plain UTF-8: ssh or VS Code could not read it either."""
    fault = ""
    if b"\0" in data:
        fault = f"{path} is not a text file that ssh can read; it may be saved as UTF-16."
    elif data.startswith(codecs.BOM_UTF8):
        fault = f"{path} begins with a byte-order mark, so ssh fails for every host."
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fault = fault or f"Line {line} of {path} is not UTF-8."
    if fault:
        raise ConfigurationError(
            fault, hint="Save it as UTF-8 without a byte-order mark, then run the command again."
        )
