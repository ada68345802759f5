"""The description of a job: `about.json` in its folder, one line of ASCII JSON, and older forms.

`Run` says which lab a run runs, and how; `About` says that of any job. The laptop writes it when it
starts a job, and every later command reads it back from the machine.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from .. import answers
from ..parsing import parse_json
from ..settings import FORMAT
from ..ssh.address import alias_fault
from ..ui.text import in_one_line

__all__ = [
    "About",
    "DamagedError",
    "NewerFormatError",
    "Run",
    "is_goal",
    "program_name",
    "run_of",
]

_SCRIPT = re.compile(r"[^-\s]\S*\.(?:py|sh|bash|R|r|jl|pl|js|lua|m|ipynb)")
_OPTIONS = {"--hosts": "hosts", "--nproc-per-node": "processes", "--resume": "resume"}


class DamagedError(ValueError):
    """A description that cannot be read."""


class NewerFormatError(ValueError):
    """A description that a newer version has written; its argument is the format."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A lab or a program to run, and how. Two runs that are equal do the same."""

    lab: str = ""
    """Its script, relative to the project, with slashes; empty for a program."""
    command: tuple[str, ...] = ()
    """The program and its arguments; empty for a lab."""
    name: str = ""
    """The folder below outputs/ of a program."""
    tty: bool = False
    """Whether the output of a program is a terminal."""
    variables: tuple[tuple[str, str], ...] = ()
    """Variables that it finds, beside what every run finds."""
    secrets: tuple[str, ...] = ()
    """The names of those whose values are known to it alone."""
    parameters: tuple[tuple[str, str], ...] = ()
    launcher: str = "ssh"
    """What starts it: a name in `launchers.LAUNCHERS`."""
    hosts: tuple[str, ...] = ()
    """The aliases of its hosts, where it was started on hosts by name."""
    processes: int | None = None
    """How many processes on each host were asked for."""
    gpus: int | None = None
    """How many cards it has to itself; None: it sees all of them, and takes its chance."""
    until_done: bool = False
    """Whether Slurm puts it back into its queue at its time limit, until it has ended by itself."""
    resume: str = ""
    """The run whose checkpoint it begins with."""
    sweep: str = ""
    """The sweep whose sets it takes, one after the other."""
    swept: tuple[str, ...] = ()
    """Those of its parameters that have several values, written as behind `--sweep NAME=`."""
    optimize: str = ""
    """What its sets are proposed for, one by one: `max:METRIC` or `min:METRIC`."""
    spread: tuple[str, ...] = ()
    """The aliases of the machines that its sets were divided among."""

    @property
    def words(self) -> list[str]:
        """The lab and its parameters, as on the command line of a headless run."""
        fixed = [pair for pair in self.parameters if pair[0] not in self.swept]
        return [self.lab, *(word for pair in fixed for word in ("-p", *pair))]

    @property
    def title(self) -> str:
        """All that makes it another run than others, as behind `lab run`, in one line of text."""
        return in_one_line(self.call())

    def call(self, *more: str) -> str:
        """Return what starts it again, as behind `lab run`, with more options."""
        options = ["--tty"] if self.tty else []
        if self.command and self.name != program_name(self.command):
            options += ["--name", self.name]
        given = [f"{name}={value}" for name, value in self.variables]
        for one in (*given, *self.secrets):
            options += ["--env", one]
        for name, values in self.parameters:
            if name in self.swept:
                options += ["--sweep", f"{name}={values}"]
        if self.optimize:
            options += ["--optimize", self.optimize]
        if self.spread:
            options += ["--spread", ",".join(self.spread)]
        if self.hosts:
            options += ["--hosts", ",".join(self.hosts)]
        if self.processes is not None:
            options += ["--nproc-per-node", str(self.processes)]
        if self.gpus is not None:
            options += ["--gpus", str(self.gpus)]
        if self.until_done:
            options += ["--until-done"]
        if self.resume:
            options += ["--resume", self.resume]
        options += more
        words = [*options, "--", *self.command] if self.command else [*self.words, *options]
        return shlex.join(words)

    @property
    def output_folder(self) -> str:
        """The folder below outputs/ that its results go to."""
        return PurePosixPath(self.lab).stem if self.lab else self.name


def program_name(command: Sequence[str]) -> str:
    """Return the name of the results of a program: the stem of its script, or else its own.

    The script is the first word that names one: `torchrun --standalone src/train.py` has `train`,
    and so has `python -m package.train`.
    """
    scripts = [word for word in command if _SCRIPT.fullmatch(word)]
    if scripts:
        return _as_name(PurePosixPath(scripts[0]).stem)
    if "-m" in command[1:-1]:
        return _as_name(command[command.index("-m", 1) + 1].rpartition(".")[2])
    return _as_name(PurePosixPath(command[0]).stem)


def _as_name(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", text).lstrip("-.")[:80]
    return name or "program"


@dataclass(frozen=True, kw_only=True)
class About:
    """The description of a job."""

    kind: str
    """`setup`, `run`, a kind of session, or `worker`: the part of a run on a further host."""
    title: str
    """What it is, in one line."""
    run: Run | None = None
    """What a run or worker runs."""
    part_of: str = ""
    """The id of the run that a worker is a part of."""
    host: str = ""
    """The alias of a worker's host, as the run names it."""
    far: str = ""
    """The folder of the tool's far half that it uses, relative to the project."""
    lists: str = ""
    """The folder of the lists that a setup follows, relative to the project."""
    folders: tuple[str, ...] = ()
    """The folders of [outputs] that it writes in the project's own folder."""
    format: int = FORMAT
    """That of the version that started it. 1 was copied into projects; it wrote a line of text."""

    def to_json(self) -> str:
        """Return it as one line of ASCII; what does not apply is left out."""
        values: dict[str, Any] = {"format": FORMAT, "kind": self.kind, "title": self.title}
        values |= {} if self.run is None else vars(self.run)
        values |= {"run": self.part_of, "host": self.host, "far": self.far}
        values |= {"lists": self.lists, "folders": self.folders}
        # No card at all is something that can be asked for.
        return json.dumps({key: one for key, one in values.items() if one or type(one) is int})

    @classmethod
    def from_json(cls, text: str) -> About:
        """Read it back. Keys that are not known are for newer versions, and are left alone.

        Raises NewerFormatError and DamagedError.
        """
        try:
            values = parse_json(text)
        except ValueError:
            raise DamagedError(text) from None
        if not isinstance(values, dict) or type(values.get("format")) is not int:
            raise DamagedError(text)
        if values["format"] > FORMAT:
            raise NewerFormatError(values["format"])
        kind, part_of, host = (_text(values, key) for key in ("kind", "run", "host"))
        run = run_of(values) if "lab" in values or "command" in values else None
        far = _text(values, "far")
        if not answers.is_a(answers.WORD, kind) or (kind in ("run", "worker") and run is None):
            raise DamagedError(text)
        _check_part(part_of, host)
        if far and not answers.is_a(answers.FAR_FOLDER, far):
            raise DamagedError(text)
        return cls(
            kind=kind,
            title=_text(values, "title"),
            run=run,
            part_of=part_of,
            host=host,
            far=far,
            lists=_text(values, "lists"),
            folders=_texts(values, "folders"),
            format=values["format"],
        )

    @classmethod
    def from_vendored_text(cls, text: str, *, in_slurm: bool) -> About:
        """Read the line `kind title` of a job that the version copied into projects has started.

        That version wrote down nothing else: hosts and what is resumed are told by the title alone.
        Raises DamagedError.
        """
        kind, _, title = text.partition(" ")
        if kind not in ("run", "worker"):
            return cls(kind=in_one_line(kind), title=in_one_line(title), format=1)
        part_of = host = ""
        if kind == "worker":
            mark, _, title = title.partition(": ")
            part_of, _, host = mark.partition(" on ")
            _check_part(part_of, host)
        try:
            lab, *words = shlex.split(title)
        except ValueError:
            raise DamagedError(text) from None
        parameters = []
        while words[:1] == ["-p"] and len(words) > 2:
            parameters.append(words[1:3])
            words = words[3:]
        options = dict(zip(words[::2], words[1::2], strict=False))
        values: dict[str, Any] = {key: options.get(word, "") for word, key in _OPTIONS.items()}
        hosts = values["hosts"].split(",") if values["hosts"] else []
        processes = int(values["processes"]) if values["processes"].isdecimal() else None
        launcher = "slurm" if in_slurm else "torchrun" if hosts else "ssh"
        values |= {"lab": lab, "parameters": parameters, "launcher": launcher, "hosts": hosts}
        run = run_of({**values, "processes": processes})
        title = in_one_line(title)
        return cls(kind=kind, title=title, run=run, part_of=part_of, host=host, format=1)


def run_of(values: Mapping[str, Any]) -> Run:
    """Return the run that `about.json` describes. Raises DamagedError for what cannot be one.

    Its words reach a command line or a path here, and the machine may say anything.
    """
    processes, hosts, gpus = values.get("processes"), values.get("hosts", []), values.get("gpus")
    parameters = values.get("parameters", [])
    if processes is not None and (type(processes) is not int or not 0 < processes < 10**6):
        raise DamagedError(processes)
    if gpus is not None and (type(gpus) is not int or not 0 <= gpus < 10**6):
        raise DamagedError(gpus)
    if not isinstance(hosts, list) or not all(map(_is_alias, hosts)):
        raise DamagedError(hosts)
    if not isinstance(parameters, list) or not all(map(_is_pair, parameters)):
        raise DamagedError(parameters)
    resume = _text(values, "resume")
    launcher = _text(values, "launcher") or "ssh"
    sweep, swept = _text(values, "sweep"), values.get("swept", [])
    optimize, spread = _text(values, "optimize"), values.get("spread", [])
    if any(one and not answers.is_a(answers.JOB, one) for one in (resume, sweep)):
        raise DamagedError((resume, sweep))
    if not answers.is_a(answers.WORD, launcher):
        raise DamagedError(launcher)
    if not isinstance(swept, list) or not all(map(_is_name, swept)):
        raise DamagedError(swept)
    if optimize and not is_goal(optimize):
        raise DamagedError(optimize)
    if not isinstance(spread, list) or not all(map(_is_alias, spread)):
        raise DamagedError(spread)
    return Run(
        **_what_runs(values),
        parameters=tuple((name, value) for name, value in parameters),
        launcher=launcher,
        hosts=tuple(hosts),
        processes=processes,
        gpus=gpus,
        until_done=values.get("until_done") is True,
        resume=resume,
        sweep=sweep,
        swept=tuple(swept),
        optimize=optimize,
        spread=tuple(spread),
    )


def _what_runs(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run says of its lab or program. Raises DamagedError."""
    variables, secrets = values.get("variables", []), values.get("secrets", [])
    if not isinstance(variables, list) or not all(map(_is_pair, variables)):
        raise DamagedError(variables)
    if not isinstance(secrets, list) or not all(map(_is_name, secrets)):
        raise DamagedError(secrets)
    if not all(_is_name(name) for name, _ in variables):
        raise DamagedError(variables)
    found: dict[str, Any] = {
        "variables": tuple((name, value) for name, value in variables),
        "secrets": tuple(secrets),
    }
    if "command" not in values:
        lab = values["lab"]
        if not answers.is_a(answers.LAB, lab) or not lab.isprintable():
            raise DamagedError(lab)
        if PurePosixPath(lab).stem in ("", ".", ".."):
            raise DamagedError(lab)
        return {**found, "lab": lab}
    command, name = values["command"], values.get("name")
    if not isinstance(command, list) or not command or not all(type(one) is str for one in command):
        raise DamagedError(command)
    if not answers.is_a(answers.NAME, name):
        raise DamagedError(name)
    return {**found, "command": tuple(command), "name": name, "tty": values.get("tty") is True}


def is_goal(value: object) -> bool:
    """Return whether it is what a sweep can be optimized for: `max:METRIC` or `min:METRIC`."""
    return answers.is_a(answers.GOAL, value)


def _is_name(value: object) -> bool:
    return answers.is_a(answers.VARIABLE, value)


def _check_part(part_of: str, host: str) -> None:
    """Raise DamagedError when a worker names what can be no run, or no host."""
    if (part_of and not answers.is_a(answers.JOB, part_of)) or (host and not _is_alias(host)):
        raise DamagedError((part_of, host))


def _is_alias(value: object) -> bool:
    return isinstance(value, str) and alias_fault(value) is None


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and [type(one) for one in value] == [str, str]


def _text(values: Mapping[str, Any], key: str) -> str:
    """Return a value that is a text, in one line; nothing where there is none."""
    value = values.get(key, "")
    if not isinstance(value, str):
        raise DamagedError(value)
    return in_one_line(value)


def _texts(values: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return a value that is a list of texts, each in one line; nothing where there is none."""
    found = values.get(key, [])
    if not isinstance(found, list) or not all(type(one) is str for one in found):
        raise DamagedError(found)
    return tuple(map(in_one_line, found))
