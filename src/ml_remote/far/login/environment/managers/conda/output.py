"""Output of a client: shown without its spinner; names of damaged packages are kept."""

import re
from typing import List

__all__ = ["Shown"]

_SPINNER = re.compile(r"(?:[-\\|/] ?)?\x08")
_ABOUT, _DAMAGED = "The package for ", "appears to be corrupted"


class Shown:
    """Takes each line for `commands.run`.

    conda names every single file of a damaged package, thousands of lines: one of them is shown.
    """

    def __init__(self) -> None:
        self.damage: List[str] = []
        """The sentences about damaged packages, one for each."""
        self._is_about_damage = False
        self._sentence = ""

    def __call__(self, line: str) -> bool:
        """Show a line, and return True: nothing is left to be shown of it."""
        plain = _SPINNER.sub("", line.rpartition("\r")[2]).rstrip()
        if _ABOUT in plain:
            self._is_about_damage = True
            self._sentence = plain
        if _DAMAGED in plain and self._is_about_damage:
            sentence = self._sentence if self._sentence == plain else self._sentence + " " + plain
            sentence = sentence.partition(_DAMAGED)[0] + _DAMAGED
            if sentence not in self.damage:
                self.damage.append(sentence)
                print(sentence, flush=True)
        if plain.strip() and not self._is_about_damage:
            print(plain, flush=True)
        return True
