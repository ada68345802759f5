"""The errors that the `lab` command shows as sentences.

LabError                      it failed; the message says why, `hint` what to do   exit code 1
├── UsageError                an answer or option that cannot be meant so          exit code 2
├── ConfigurationError        an SSH configuration that cannot be read or used
│   ├── NoProjectError        there is no lab.toml
│   ├── AliasTakenError       the alias already means another machine
│   ├── DamagedEntryError     an entry of ours that cannot be read any more
│   └── UnsafeEditError       nothing was written; `instructions` is what to add by hand
├── KeyFileError              a key that is missing, open to others, damaged or not to be copied
├── NoNodeError               an alias of a compute node, and no job of it runs
├── UnreachableError          no connection to the remote machine
│   ├── HostKeyUnknownError   its host key has never been seen
│   ├── HostKeyChangedError   its host key is another one than before
│   └── LoginRefusedError     it answered, but let nobody in
│       ├── NoJobError        a compute node on which no job of the person's runs
│       └── InteractiveLoginError       it asks a person at every login
│           └── InteractiveGatewayError a jump host before it does
└── RemoteCommandError        a command failed on the remote machine
    ├── CommandNotRunError    its login shell does something else than to run the command
    ├── MissingFolderError    the project's folder is not on the machine
    └── WrongFolderError      it belongs to another user, or holds another project
"""

from __future__ import annotations

__all__ = [
    "OTHER_FOLDER",
    "AliasTakenError",
    "CommandNotRunError",
    "ConfigurationError",
    "DamagedEntryError",
    "HostKeyChangedError",
    "HostKeyUnknownError",
    "InteractiveGatewayError",
    "InteractiveLoginError",
    "KeyFileError",
    "LabError",
    "LoginRefusedError",
    "MissingFolderError",
    "NoJobError",
    "NoNodeError",
    "NoProjectError",
    "RemoteCommandError",
    "UnreachableError",
    "UnsafeEditError",
    "UsageError",
    "WrongFolderError",
]


OTHER_FOLDER = "Choose another folder: folder in [remote], in lab.toml or lab.local.toml"
"""What to do where the project's folder on the machine is not this project's."""


class LabError(Exception):
    """Base of all errors that are shown to the person as a sentence, without a traceback.

    The message says what happened. `hint`, if any, is the next step: a command or a short sentence.
    `quoted` is what in the message is text of the machine or of a program.
    """

    exit_code = 1

    def __init__(
        self, message: str, *, hint: str | None = None, quoted: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.quoted = quoted


class UsageError(LabError):
    """An answer or option that is not valid."""

    exit_code = 2


class ConfigurationError(LabError):
    """An SSH configuration that cannot be read, or that cannot be used as it is."""


class NoNodeError(LabError):
    """The job of a compute node's alias has ended, so waiting is useless."""


class NoProjectError(ConfigurationError):
    """`lab.toml` is missing, in a folder and above it."""

    def __init__(self, folder: object) -> None:
        super().__init__(
            "The current folder no longer exists."
            if folder is None
            else f"There is no lab.toml in {folder} or a folder above it.",
            hint="Go to the folder of a project"
            if folder is None
            else "Go to the folder of a project; or make this repository one: lab init",
        )


class AliasTakenError(ConfigurationError):
    """The alias already means another machine, in the person's own file or in an entry of ours."""


class DamagedEntryError(ConfigurationError):
    """A file in our own directory that is not an entry as we write them."""


class UnsafeEditError(ConfigurationError):
    """The edit cannot be made safely, so nothing was written.

    `instructions` says what to add (or take away) by hand to the same effect, in several lines.
    """

    def __init__(self, message: str, *, instructions: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.instructions = instructions


class KeyFileError(LabError):
    """A key that is missing, open to others, damaged, or that could not be made or copied."""


class UnreachableError(LabError):
    """The remote machine could not be reached, or the connection to it was lost."""


class HostKeyUnknownError(UnreachableError):
    """The host key of the machine, or of a jump host before it, has never been seen."""


class HostKeyChangedError(UnreachableError):
    """The host key has changed; nothing was sent to the machine."""


class LoginRefusedError(UnreachableError):
    """The machine answered, but did not let the person in."""


class NoJobError(LoginRefusedError):
    """A compute node lets in only users who have a job there."""


class InteractiveLoginError(LoginRefusedError):
    """The machine asks a person at every login: for a code after the key, or instead of it."""


class InteractiveGatewayError(InteractiveLoginError):
    """A jump host before the machine asks a person at every login."""


class RemoteCommandError(LabError):
    """A command failed on the remote machine."""


class CommandNotRunError(RemoteCommandError):
    """The machine let the person in, but its login shell did not run the command."""


class MissingFolderError(RemoteCommandError):
    """The project's folder is not on the machine."""


class WrongFolderError(RemoteCommandError):
    """The folder on the machine belongs to another user, or holds another project."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint=OTHER_FOLDER)
