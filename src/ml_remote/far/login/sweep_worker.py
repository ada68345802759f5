"""Run the sets of a sweep, one after the other, beside other workers that do the same.

    .venv/bin/python .lab/far/current sweep 2026-11-27_14-05-00 [--one]
    .venv/bin/python .lab/far/current sweep begin 2026-11-27_14-05-00

A sweep is the folder `.lab/sweeps/<id>/`:

    about.json  what runs, as the laptop wrote it
    code        the commit that the sets run; `begin` takes it from the folder as it is then
    command     the script that runs one set; it finds the set in its arguments and variables
    sets/       files with a line of JSON for each set: its number and its parameters
    claims/     `<set>.<attempt>`: who runs it. Made by link(2), which succeeds for one alone, on
                NFS too; touched every few seconds
    done/       `<set>.json`: how it ended
    rounds/     a file for each time that the sweep was resumed
    stopped     there when somebody stopped it, or when it stopped itself; says why
    wanted      how many sets there are to be, where they are proposed one by one

The claim of a worker that is dead is taken over, by a claim with the next number.
Python 3.6 is enough.
"""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import IO, Any, Dict, Iterator, List, Mapping, Optional, Tuple

from ..exit_codes import ExitCode
from . import record
from .cards import CardError, held
from .checkout import finish, make, variables
from .files import replace_text
from .snapshot import CodeError, base, snapshot
from .sweep_claims import SILENT, Claims, end_leftovers
from .sweep_proposals import ProposalError, Proposals, is_installed
from .sweep_sets import Pairs, sets_in

__all__ = ["main"]

PAUSE = 5.0  # seconds between two signs of life
IDLE = 2.0  # seconds between two looks at sets that others run
LAST = 2048  # bytes of a log in which its last line is looked for
SAME = 5  # failures in a row that end a sweep
SIGNALLED = 128
RECORDED = ("lab", "command", "name", "variables", "secrets", "launcher")
# What differs between failures that are the same: addresses, paths, names of files, numbers.
_VARYING = re.compile(
    r"""0x[0-9a-fA-F]+|[^\s'"(),:;=\[\]]*[/\\][^\s'"(),;\[\]]*"""
    r"""|[^\s'"(),:;=\[\]]+\.[a-z][a-z0-9]{0,5}(?![\w.])|[-+]?\d[\d.,eE+-]*"""
)
_PLACE = re.compile(r"\{\{([A-Za-z_]\w*)\}\}|\{([A-Za-z_]\w*)\}")
_KILL_ME_TOO = 1  # PR_SET_PDEATHSIG of Linux


class _Signalled(Exception):
    """Somebody has asked this worker to end."""


def main(arguments: List[str]) -> int:
    """Take sets until none is left; return 0, or 143 when asked to end before."""
    if arguments[:1] == ["begin"]:
        return _take_code(Path(".lab", "sweeps", arguments[1]))
    sweep, *options = arguments
    folder = Path(".lab", "sweeps", sweep)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _raise_signalled)
    try:
        Worker(folder).work(is_task="--one" in options)
    except _Signalled:
        return SIGNALLED + signal.SIGTERM
    except OSError as error:
        said = "{}: {}".format(error.filename or folder, error.strerror)
        print("This worker of the sweep stops early. {}.".format(said), flush=True)
        return 1
    return 0


def _take_code(folder: Path) -> int:
    """Note which code the sets run from now on: that of the folder as it is now."""
    about = _read(folder / "about.json")
    if "space" in about and not is_installed():
        return ExitCode.NO_OPTUNA
    project = Path.cwd()
    try:
        taken = snapshot(project, about.get("folders", []))
        code = {}  # type: Dict[str, Any]
        if taken is not None:
            commit, is_dirty = taken
            follows = base(project)
            code = {"commit": commit, "base": follows, "dirty": is_dirty or follows != commit}
        replace_text(folder / "code", json.dumps(code) + "\n")
    except (CodeError, OSError) as error:
        print(error)
        return ExitCode.NO_CODE
    return 0


def _read(path: Path) -> Dict[str, Any]:
    values = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return dict(values)


def _raise_signalled(*_: object) -> None:
    raise _Signalled


class Worker:
    """One of those that take sets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        self._claims = Claims(folder)
        self._proposals = Proposals(folder, self._about, before_start=_end_with_me)

    def work(self, *, is_task: bool) -> None:
        """Take sets until all have ended, or the sweep is stopped; a task of Slurm takes one.

        There are as many tasks as sets. One waits no longer than it takes to see who is dead.
        """
        patience = time.monotonic() + SILENT + IDLE
        self._gather_rest()
        while not self._is_stopped():
            sets = sets_in(self._folder)
            number, waits = self._claims.take(sorted(sets))
            if number is not None:
                self._run(number, sets[number])
            elif self._proposals.has_more(len(sets)):
                self._propose()
                continue
            elif waits:
                time.sleep(IDLE)  # whoever runs them may yet die
            if is_task and (number is not None or time.monotonic() > patience):
                break
            if number is None and not waits:
                self._gather_rest()
                break
        self._proposals.tell_the_rest()

    def _propose(self) -> None:
        """Propose one more set, for any worker to take; stop the sweep if none can be proposed."""
        try:
            self._proposals.ask()
        except ProposalError as error:
            self._stop({"why": "proposals", "said": str(error)})
            print("No further set could be proposed: {}".format(error), flush=True)

    def _is_stopped(self) -> bool:
        job = Path(os.environ.get("LAB_JOB_FOLDER", ".lab"))
        return (self._folder / "stopped").exists() or (job / "stopped").exists()

    def _run(self, number: int, pairs: Pairs) -> None:
        """Run one set to its end, and note how that was."""
        run = "{}-{}".format(self._folder.name, number)
        named = ", ".join("{} {}".format(*pair) for pair in pairs)
        print("Set {} ({}) begins.".format(number, named), flush=True)
        mark = "{}/{}".format(self._folder.resolve(), number)
        if self._claims.is_repeated:
            end_leftovers(mark)
        results = Path("outputs", self._about["output_folder"], run)
        results.mkdir(parents=True, exist_ok=True)
        began, log = time.time(), results / "log.txt"
        try:
            with self._cards(run) as own:
                code, said = self._carry_out(
                    number, pairs, run, results, log, dict(own, LAB_SET=mark)
                )
        except CardError as error:
            code, said = int(ExitCode.NO_CARDS), str(error)
        if code is None:  # it is another worker's by now, or the sweep is stopped
            end_leftovers(mark)
            return
        ended = time.time()
        code, why, value = self._proposals.judge(results, code)
        said = said or why
        outcome = {
            "set": number,
            "exit_code": code,
            "seconds": round(ended - began, 1),
            "ended": round(ended, 3),
            "run": run,
            "said": said or ("" if code == 0 else _last_line(log)),
        }
        if value is not None:
            outcome["value"] = value
        self._claims.finish(number, outcome)
        how = "done" if code == 0 else "failed, exit code {}".format(code)
        print("Set {}: {} after {:.0f} s.".format(number, how, ended - began), flush=True)
        if code:
            self._stop_if_hopeless()

    @contextmanager
    def _cards(self, run: str) -> Iterator[Dict[str, str]]:
        """Hold the cards of a set, waiting in line; yield the variables that name them.

        While it waits, the set is this worker's all the same.
        """
        count = self._about.get("cards", 0)
        if not count:
            yield {}
            return
        over = threading.Event()

        def keep() -> None:
            while not over.wait(PAUSE):
                self._claims.keep()

        threading.Thread(target=keep, daemon=True).start()
        try:
            with held(count, run=run) as own:
                over.set()
                yield {"CUDA_VISIBLE_DEVICES": ",".join(own)}
        finally:
            over.set()

    def _carry_out(
        self,
        number: int,
        pairs: Pairs,
        run: str,
        results: Path,
        log: Path,
        more: Mapping[str, str],
    ) -> Tuple[Optional[int], str]:
        """Return the exit code of a set, None as `_wait` does; and why it could not begin."""
        began = time.time()
        code = _read(self._folder / "code")
        try:
            place = self._checkout(run, results, code.get("commit", ""))
        except (CodeError, OSError) as error:
            return int(ExitCode.NO_CODE), str(error)
        own = {"commit": code["base"] or None, "dirty": code["dirty"]} if place else {}
        snapshot_of_it = code["commit"] if place and code["dirty"] else ""
        facts = dict(self._facts(number, pairs, run), **own)
        record.begin(results, facts, code=snapshot_of_it)
        ended = None
        try:
            with log.open("ab") as output:
                ended = self._wait(self._start(pairs, run, more, output, place))
        finally:
            if self._claims.keep():  # else it is another worker's, and so is the checkout
                self._gather(run, results, place, began)
        if ended is not None:
            record.end(results, ended)
        return ended, ""

    def _checkout(self, run: str, results: Path, commit: str) -> Optional[Path]:
        """Make the checkout of a set, None where there is no repository.

        What an earlier attempt has written in one of another commit is moved into the results.
        """
        if not commit:
            return None
        project = Path.cwd()
        with suppress(CodeError):
            return make(project, run, commit, self._about["folders"])
        finish(project, run, results, at_end=True)
        return make(project, run, commit, self._about["folders"])

    def _gather(self, run: str, results: Path, place: Optional[Path], began: float) -> None:
        """Move what a set wrote beside its code into its results."""
        try:
            if place is not None:
                finish(Path.cwd(), run, results.resolve(), at_end=True)
                return
            for folder in self._about["folders"]:
                for file in Path(folder).rglob("*"):
                    target = results / file
                    if file.is_file() and file.stat().st_mtime >= began and not target.exists():
                        target.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copy2(str(file), str(target))
        except OSError as error:
            what = "{}: {}".format(error.filename or "It", error.strerror)
            where = place or Path.cwd()
            print("Some files of {} are still in {}. {}".format(run, where, what), flush=True)

    def _gather_rest(self) -> None:
        """Move results that ended sets left behind, because processes lived on or a disk was full.

        So it is with a set whose worker has died too often.
        """
        name = self._folder.name + "-"
        for place in Path(".lab", "code").glob(name + "[0-9]*"):
            number = place.name[len(name) :]
            if number.isdigit() and self._claims.has_ended(int(number)):
                results = Path("outputs", self._about["output_folder"], place.name)
                with suppress(OSError):
                    finish(Path.cwd(), place.name, results.resolve())

    def _facts(self, number: int, pairs: Pairs, run: str) -> Dict[str, Any]:
        """Return what the record of a set says of it."""
        about, names = self._about, {name for name, _ in pairs}
        facts = {key: about[key] for key in RECORDED if key in about}
        fixed = [pair for pair in about.get("parameters", []) if pair[0] not in names]
        facts["parameters"] = [*fixed, *(list(pair) for pair in pairs)]
        if "command" in about:
            facts["command"] = [_filled_in(word, dict(pairs)) for word in about["command"]]
        return dict(facts, id=run, sweep=self._folder.name, set=number)

    def _start(
        self,
        pairs: Pairs,
        run: str,
        more: Mapping[str, str],
        output: IO[bytes],
        place: Optional[Path],
    ) -> "subprocess.Popen[bytes]":
        """Start the command of a set, which ends with this process."""
        own = dict(os.environ, LAB_JOB=run, **more)
        if place is not None:
            code = variables(place)
            own.update({"LAB_CODE": code["LAB_CODE"], "LAB_SET_PATH": code["PYTHONPATH"]})
        if self._about.get("command"):
            words = [_filled_in(word, dict(pairs)) for word in self._about["command"]]
            lines = ["export {}={}\n".format(name, quote(value)) for name, value in pairs]
            own["LAB_SET_GIVEN"] = "".join(lines)
        else:
            words = [word for pair in pairs for word in ("-p", *pair)]
        return subprocess.Popen(
            ["sh", str(self._folder / "command"), *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=own,
            preexec_fn=_end_with_me,
        )

    def _wait(self, process: "subprocess.Popen[bytes]") -> Optional[int]:
        """Return the exit code; None when the set is not ours any more, or was stopped."""
        try:
            while True:
                try:
                    code = process.wait(PAUSE)
                    break
                except subprocess.TimeoutExpired:
                    if not self._claims.keep() or self._is_stopped():
                        return None
            if code < 0 or code > SIGNALLED:
                time.sleep(0.5)  # whoever ends all that runs here ends this, too
            if code and self._is_stopped():
                return None
            return SIGNALLED - code if code < 0 else code
        finally:
            if process.poll() is None:
                _end(process)

    def _stop(self, why: Dict[str, Any]) -> None:
        replace_text(self._folder / "stopped", json.dumps(why) + "\n")

    def _stop_if_hopeless(self) -> None:
        """Stop the sweep when the last failures were the same, and nothing succeeded between."""
        last = self._claims.outcomes()[-SAME:]
        reasons = {(one["exit_code"], _VARYING.sub("#", one["said"])) for one in last}
        if len(last) == SAME and len(reasons) == 1 and last[0]["exit_code"]:
            self._stop({"why": "failures", "set": last[-1]["set"], "said": last[-1]["said"]})
            print("The same failure {} times in a row ends the sweep.".format(SAME), flush=True)


def _end_with_me() -> None:
    """Make the kernel end the new process when its parent dies, however that happens."""
    with suppress(OSError, AttributeError):  # not Linux: what is left ends with the next claim
        ctypes.CDLL(None).prctl(_KILL_ME_TOO, signal.SIGKILL)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _filled_in(word: str, values: Dict[str, str]) -> str:
    """Return a word of the command with the values in the place of `{name}`."""
    return _PLACE.sub(
        lambda found: values[found.group(2)] if found.group(2) else found.group(0)[1:-1], word
    )


def _last_line(log: Path) -> str:
    """Return the last line that is not blank, or that of the error in a lab: it says why."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LAST))
        lines = file.read().decode("utf-8", "replace").splitlines()
    said = [line.strip()[:300] for line in lines if line.strip()]
    return next((line for line in reversed(said) if not line.startswith(record.STOPPED)), "")
