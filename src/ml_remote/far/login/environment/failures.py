"""The errors of a setup, as sentences.

Failure         a sentence, and what to do; it ends the setup
ManagerError    a manager's program failed; `text` is what it printed. A manager explains it
"""

from typing import Sequence

__all__ = ["Failure", "ManagerError"]


class Failure(Exception):
    """A sentence for the person, and hints: what to do, one a line."""

    def __init__(self, sentence: str, *hints: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hints = hints


class ManagerError(Exception):
    """A program that a manager started ended with a code that is not zero."""

    def __init__(self, command: Sequence[str], code: int, text: str) -> None:
        super().__init__("{} ended with {}".format(command[0], code))
        self.command = list(command)
        self.code = code
        self.text = text
