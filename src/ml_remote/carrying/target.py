"""Which wheels the machine's Python takes: asked there, checked here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..answers import VERSION, is_a, unusable
from ..errors import LabError, UsageError
from ..far.login.environment.managers import CONDA_FAMILY
from ..machine import Machine
from ..parsing import parse_json
from ..scripts import run_script

__all__ = ["BY_HAND", "KEEP_CONDA", "Target", "ask_target"]

KEEP_CONDA = (
    'Set manager = "uv" under [environment] in lab.toml, then: lab setup --carry\n'
    "To keep conda: on a machine of the same kind that has internet, conda-pack packs an "
    "environment into one file, to unpack there"
)
"""What to do where conda makes the environment: it takes no wheels."""

BY_HAND = (
    "If the machine has a newer Python, for example in a module, link it on the machine: "
    "mkdir -p ~/.local/bin; ln -s /path/to/python3.12 ~/.local/bin/\n"
    "Or send one, which needs no administrator: download an install_only archive of 3.12 for the "
    "machine from https://github.com/astral-sh/python-build-standalone/releases, copy it with "
    "scp, unpack it with tar in your home directory there, and link ~/python/bin/python3.12 in "
    "the same way\n"
    "Then: lab setup --carry"
)
"""What to do where no Python can be brought."""

_TAG = re.compile(r"[a-z][a-z0-9_]{2,60}")
_MANYLINUX = re.compile(r"manylinux_2_([0-9]{1,3})_(x86_64|aarch64)")
_KNOWN_TO_UV = (17, 28, *range(31, 41))  # of manylinux_2_N, in `--python-platform`
_OTHERS = {
    r"musllinux_1_[0-9]+_(x86_64|aarch64)": "{0}-unknown-linux-musl",
    r"macosx_[0-9]+_[0-9]+_arm64": "aarch64-apple-darwin",
    r"macosx_[0-9]+_[0-9]+_x86_64": "x86_64-apple-darwin",
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A Python on the machine."""

    python: str
    """Its version, such as `3.12.4`."""
    platforms: tuple[str, ...]
    """The platform tags of wheels that it takes, the best first."""
    has_uv: bool = True
    instead_of: str = ""
    """The version of the machine's own Python, if that is too old and this one is brought."""

    @property
    def for_python(self) -> str:
        """The platform in uv's names of Pythons."""
        machine, _, kind = self.for_uv.partition("-")
        return f"linux-{machine}-gnu" if kind.startswith("manylinux") else self.for_uv

    @property
    def for_uv(self) -> str:
        """uv's name of the platform. Raises LabError if it has none."""
        found = [one for tag in self.platforms if (one := _MANYLINUX.fullmatch(tag))]
        fitting = [int(one[1]) for one in found if int(one[1]) in _KNOWN_TO_UV]
        if fitting:
            return f"{found[0][2]}-manylinux_2_{max(fitting)}"
        for pattern, name in _OTHERS.items():
            for tag in self.platforms:
                if match := re.fullmatch(pattern, tag):
                    return name.format(*match.groups())
        raise LabError(
            f"uv knows no platform whose wheels this machine accepts ({self.platforms[0]}).",
            hint="Install the packages on the machine by hand, or ask its administrator",
        )


def ask_target(machine: Machine, far: str, settings: str) -> Target:
    """Return which wheels the Python that would make the environment takes.

    `far` is the folder of the far half there, `settings` what lab.toml says. Raises UsageError when
    conda keeps an environment there, LabError when there is no Python for one, and
    UnusableAnswerError.
    """
    done = run_script(machine, "wheel-tags", far, settings, timeout=120)
    text = done.stdout.strip().rpartition("\n")[2]
    try:
        answer = parse_json(text)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and answer.get("keeper") in CONDA_FAMILY:
        raise UsageError(
            f"--carry installs wheels, but the environment on {machine.alias} was made by "
            f"{answer['keeper']}, which does not use wheels. Nothing was downloaded.",
            hint=KEEP_CONDA,
        )
    too_old = answer.get("found") if isinstance(answer, dict) else None
    if is_a(VERSION, too_old) and isinstance(answer, dict) and not answer.get("platforms"):
        raise _no_python(machine.alias, str(too_old))
    if not isinstance(answer, dict) or not is_a(VERSION, answer.get("python")):
        raise unusable("description of a Python", text)
    platforms = answer.get("platforms")
    if not isinstance(platforms, list) or not 0 < len(platforms) < 1000:
        raise unusable("list of platforms", text)
    if not all(isinstance(tag, str) and _TAG.fullmatch(tag) for tag in platforms):
        raise unusable("list of platforms", text)
    return Target(
        python=answer["python"],
        platforms=tuple(platforms),
        has_uv=answer.get("uv") is True,
        instead_of=str(too_old) if is_a(VERSION, too_old) else "",
    )


def _no_python(alias: str, found: str) -> LabError:
    """Return the error for a machine whose Pythons are all too old."""
    return LabError(
        f"{alias} has Python {found}, but the environment needs 3.11 or newer. --carry can send a "
        "Python only to Linux with glibc. Nothing was downloaded.",
        hint=BY_HAND,
    )
