"""Run lab's kernel where an editor starts one, or a plain kernel if that is not possible.

Setup puts this file into the environment as `lab_kernel.py`, and beside it a line in
`lab_kernel.pth`, which calls `replace` when Python is started as `-m ipykernel_launcher`. It needs
nothing but itself to give the editor a kernel: what is missing or broken in the project is said in
the first cell.
"""

from __future__ import annotations

# A window waits for what is imported here, and pathlib is half of it.
# ruff: noqa: PTH113, PTH118, PTH119, PTH120
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_PLAIN = "plain"
_OWN = os.path.realpath(__file__)


def replace(root: str) -> None:
    """Run the proxy, if VS Code's extension starts this process; root is the project's folder.

    Only the extension writes `--f=`, and such names of files.
    """
    try:
        words = sys.orig_argv
        after = words[words.index("ipykernel_launcher") + 1 :]
        started_as_module = words[words.index("ipykernel_launcher") - 1] == "-m"
        if os.name != "nt" and started_as_module and any(map(_file_in, after)):
            # Isolated: variables for other Pythons do not count for the proxy.
            python = _python()
            os.execv(python, [python, "-I", _OWN, root, *after])
    except Exception as error:
        print(f"lab's kernel could not be started: {error}", file=sys.stderr)


def main() -> int:
    """Serve the editor, or run a plain kernel."""
    if sys.argv[1] == _PLAIN:
        return run_plain(sys.argv[2], sys.argv[3:])
    root, after = _project(sys.argv[1]), sys.argv[2:]
    try:
        return _serve(root, after)
    except Exception as error:
        _become_plain(_reason(error), after)


def run_plain(reason: str, arguments: list[str]) -> int:
    """Run the kernel that ipykernel_launcher would run; its first cell says the reason."""
    if not sys.flags.safe_path:
        sys.path.pop(0)  # the folder of this file, which comes further back, too
    # It ends with the extension host, too: the next window could not find it.
    os.environ.setdefault("JPY_PARENT_PID", str(os.getppid()))
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance()
    app.initialize(arguments)
    if reason:
        _say_once(app.shell.events, f"This kernel ends with its window: {reason}")
    app.start()
    return 0


def _file_in(word: str) -> str:
    """Return the connection file that a word of the command names; empty for another word."""
    file = word.removeprefix("--f=").strip('"')
    name = os.path.basename(file)
    is_named = word.startswith("--f=") and name.startswith("kernel-v") and name.endswith(".json")
    rest = name.removeprefix("kernel-v").removesuffix(".json")
    is_hexadecimal = len(rest) > 1 and not rest.strip("0123456789abcdef")
    return file if is_named and rest[:1].isdigit() and is_hexadecimal else ""


def _project(root: str) -> str:
    """Return the project's folder: that of an environment inside it, which may be a copy."""
    folder, marker = os.path.split(os.path.dirname(os.path.realpath(sys.prefix)))
    state, name = os.path.split(folder)
    return state if (name, marker) == (".lab", "envs") else root


def _serve(root: str, after: list[str]) -> int:
    far = os.path.realpath(os.path.join(root, ".lab", "far", "current"))
    if not os.path.isfile(os.path.join(far, "__main__.py")):
        raise FileNotFoundError(f"{root}/.lab/far/current is missing.")
    sys.path.insert(0, far)
    from pathlib import Path

    from ml_remote.far.env.lasting.opening import serve

    (file,) = filter(None, map(_file_in, after))
    return serve(Path(file), Path(root))


def _become_plain(reason: str, after: list[str]) -> NoReturn:
    python = _python()
    os.execv(python, [python, _OWN, _PLAIN, reason, *after])


def _reason(error: Exception) -> str:
    """Return what the first cell says; empty if the person wants plain kernels."""
    said = str(error).strip()
    if isinstance(error, OSError) and error.strerror:  # without its number
        said = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if type(error).__name__ == "CannotLastError" and not said:
        return ""
    reason = said or type(error).__name__
    remedy = "" if _is_of_the_machine(error) else " To fix that, run `lab setup`."
    return f"{reason}{'' if reason.endswith('.') else '.'}{remedy}"


def _is_of_the_machine(error: Exception) -> bool:
    """Return whether it is about a disk, a folder or a limit, which no setup changes."""
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError)


def _say_once(events: object, sentence: str) -> None:
    def say(info: object) -> None:
        if getattr(info, "store_history", False):
            events.unregister("pre_run_cell", say)  # type: ignore[attr-defined]
            print(sentence, flush=True)

    events.register("pre_run_cell", say)  # type: ignore[attr-defined]


def _python() -> str:
    """Return the interpreter by its resolved path: the link `.venv` may be exchanged."""
    return os.path.join(os.path.realpath(sys.prefix), "bin", "python")


if __name__ == "__main__":
    sys.exit(main())
