"""The errors that the `lab` command reports in words.

LabError                      it failed; the message says why, `hint` what to do   exit code 1
├── UsageError                an answer or option that cannot be meant so          exit code 2
└── ConfigurationError        an SSH configuration that cannot be read or used
    ├── AliasTakenError       the alias already means another machine
    ├── DamagedEntryError     an entry of ours that cannot be read any more
    └── UnsafeEditError       nothing was written; `instructions` is what to add by hand
"""

from __future__ import annotations

__all__ = [
    "AliasTakenError",
    "ConfigurationError",
    "DamagedEntryError",
    "LabError",
    "UnsafeEditError",
    "UsageError",
]


class LabError(Exception):
    """Base of all errors that are shown to the person as a sentence, without a traceback.

    The message says what happened. `hint`, if any, is the next step: a command or a short sentence.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(LabError):
    """An answer or option that is not of the form it must have."""

    exit_code = 2


class ConfigurationError(LabError):
    """An SSH configuration that cannot be read, or that cannot be used as it stands."""


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
