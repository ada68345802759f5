"""Refuse a folder with files in it, check every answer, and report all faults at once.

cookiecutter renders this file and runs it in the project's folder, before it writes anything there.
The answers reach it as data: were they pasted into the code, a quotation mark would break it and an
answer could act as code. What most runs do not need is imported where it is used: everybody waits
for this.
"""

from __future__ import annotations

import json
import keyword
import os
import re
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

ANSWERS_AS_JSON = r"""{{ cookiecutter | tojson }}"""

LONGEST_TEXT = 200
LONGEST_NAME = 50  # longer ones would not fit into a line `from NAME import ...`
OLDEST_PYTHON = 11  # of Python 3

SLUG = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
PACKAGE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
YES_OR_NO = re.compile(r"1|true|t|yes|y|on|0|false|f|no|n|off", re.IGNORECASE)
PYTHON_VERSION = re.compile(r"3\.([0-9]{1,2})")

SOFT_KEYWORDS = {"_", "case", "match", "type"}  # Python 3.8 cannot tell

# Names that files cannot have on Windows, whatever their ending.
DEVICE_NAMES = {
    "con", "prn", "aux", "nul",
    *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)),
}  # fmt: skip
# Folders of a generated project, and the packages it is built on: a project or package of such a
# name would hide them, or could not be installed beside them.
OWN_NAMES = {"data", "docs", "lab", "labs", "outputs", "scripts", "src", "tests"}
DEPENDENCIES = {
    "click", "conda", "cookiecutter", "graphviz", "hatchling", "ipykernel", "ipython",
    "ipywidgets", "jupyter", "jupyter_client", "jupyter_core", "jupyter_server", "jupyterlab",
    "jupytext", "mamba", "matplotlib", "micromamba", "ml_remote", "mypy", "nbconvert", "nbformat",
    "notebook", "numpy", "pandas", "papermill", "pillow", "pip", "pre_commit", "psutil", "pytest",
    "python_graphviz", "pytorch", "rich", "ruff", "scikit_learn", "scipy", "seaborn", "setuptools",
    "sklearn", "tensorboard", "tomllib", "torch", "torchaudio", "torchvision", "tqdm", "traitlets",
    "uv", "wheel", "yaml",
}  # fmt: skip


class Fault:
    """An answer that cannot be used."""

    def __init__(self, question: str, given: object, allowed: str, suggestion: str) -> None:
        self.question = question
        self.given = given
        self.allowed = allowed
        self.suggestion = suggestion


def main() -> int:
    """Report a folder with files in it, or all faulty answers; return 1 to stop cookiecutter."""
    answers = json.loads(ANSWERS_AS_JSON)
    if "cookiecutter.project_name |" in str(answers.get("__project_name_quoted")):
        print(refuse_version(), file=sys.stderr)
        return 1
    names = {entry.name for entry in os.scandir()} - {".git"}
    if names:
        print(refuse_folder(names, answers), file=sys.stderr)
        return 1
    faults = find_faults(answers, tool=load_address_rules(answers))
    if faults:
        print(report(answers, faults), file=sys.stderr)
        return 1
    return 0


def refuse_version() -> str:
    """Report that this cookiecutter is too old: it does not render what the template derives."""
    try:
        from cookiecutter import __version__ as found
    except ImportError:
        found = "1"
    return (
        f"Nothing was generated: cookiecutter {found} is too old; this template needs 2.0 or "
        "newer.\nWith a newer one: uvx cookiecutter ..."
    )


def refuse_folder(names: set[str], answers: dict[str, object]) -> str:
    """Report that a folder with these files was not changed, and what to do instead."""
    lines = [f"Nothing was generated: {Path.cwd()} is not empty. Its files were not changed."]
    if "lab.toml" in names:
        lines.append("To bring a project of this template up to date, run in its folder:")
        if ".cruft.json" not in names:
            lines.append(f"  {_link_command(answers)}   (once)")
        lines.append("  uvx cruft update")
    else:
        lines.append("Generate into another folder (--output-dir). An existing repository")
        lines.append("needs no template; in its folder:")
        lines.append(f"  uvx --from {_source(answers)} lab init")
    return "\n".join(lines)


def _source(answers: dict[str, object]) -> str:
    """Return where uvx finds the tool: the address of the template, or its folder."""
    import shlex

    address = str(answers.get("_template") or "TEMPLATE")
    hosts = {"gh": "github.com", "gl": "gitlab.com", "bb": "bitbucket.org"}
    short, _, name = address.partition(":")
    if short in hosts:
        address = f"https://{hosts[short]}/{name}"
    if not re.match(r"\w+://", address):
        return shlex.quote(str(template_folder(answers) or address))
    return shlex.quote("git+" + re.sub(r"//[^/@]*@", "//", address))


def _link_command(answers: dict[str, object]) -> str:
    """Return the command that tells cruft where this project comes from, as its lab.py says it."""
    import shlex

    try:
        script = Path("lab.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        script = ""
    pin = re.search(r"ml-remote @ git\+([^\s\"]+)@([0-9a-f]{40})\"", script)
    template, commit = pin.groups() if pin else (str(answers.get("_template") or "TEMPLATE"), "")
    checkout = f" --checkout {commit}" if commit else ""
    return f"uvx cruft link {shlex.quote(template)}{checkout}"


def load_address_rules(answers: dict[str, object]) -> ModuleType | None:
    """Return the tool's rules for addresses and aliases, from the template's own source.

    cruft does not say where that is. Then `lab connect` checks the address, after the generation.
    """
    template = template_folder(answers)
    if template is None:
        return None
    if sys.version_info < (3, 9):  # noqa: UP036 - then `lab connect` checks the address later
        return None
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(template / "src"))
    from ml_remote.ssh import address

    return address


def template_folder(answers: dict[str, object]) -> Path | None:
    """Return where the template is, as in post_gen_project.py, which explains it."""
    name = answers.get("_repo_dir")
    if not name:
        return None
    parents = (os.environ.get("PWD", ""), str(answers.get("_output_dir", "")))
    places = [Path(f"/proc/{os.getppid()}/cwd"), *(Path(parent, str(name)) for parent in parents)]
    if Path(str(name)).is_absolute():
        places = [Path(str(name))]
    return next((one.resolve() for one in places if (one / "cookiecutter.json").is_file()), None)


def find_faults(answers: dict[str, object], *, tool: ModuleType | None) -> list[Fault]:
    """Return every answer that cannot be used, in the order of the questions.

    `tool` are the rules for addresses and aliases; without them an alias is held to those for
    folders, and an address is not checked.
    """
    checks: dict[str, Callable[[str], str | None]] = {
        "project_name": check_text,
        "project_slug": check_slug,
        "package_name": check_package,
        "description": check_text,
        "author": check_text,
        "remote": tool.remote_fault if tool else lambda text: None,
        "ssh_alias": tool.alias_fault if tool else check_slug,
        "write_ssh_entry": check_yes_or_no,
        "python_version": check_python_version,
    }
    faults = []
    for question, check in checks.items():
        given = answers[question]
        # An old cookiecutter leaves a yes or no from the command line a text.
        text = str(given) if isinstance(given, bool) and check is check_yes_or_no else given
        allowed = check(text) if isinstance(text, str) else "a text"
        if allowed is not None:
            suggestion = suggest(question, answers, check)
            if question == "remote" and tool:
                suggestion = tool.suggest_remote(given)
            faults.append(Fault(question, given, allowed, suggestion))
    return faults


def check_text(text: str) -> str | None:
    """Return what is allowed for a text in words when `text` is not, else None."""
    if text.strip() and len(text) <= LONGEST_TEXT and not any(map(_is_unprintable, text)):
        return None
    return f"one line of 1 to {LONGEST_TEXT} characters, without control characters"


def check_slug(slug: str) -> str | None:
    """Return what is allowed for the project's folder when `slug` is not, else None."""
    if not SLUG.fullmatch(slug) or len(slug) > LONGEST_NAME:
        return (
            "lower-case letters and digits, single hyphens or underscores between them, a letter "
            f"first, at most {LONGEST_NAME} characters"
        )
    return _check_reserved(slug)


def check_package(package: str) -> str | None:
    """Return what is allowed for the package when `package` is not, else None."""
    if not PACKAGE.fullmatch(package) or len(package) > LONGEST_NAME:
        return (
            "lower-case letters and digits, single underscores between them, a letter first, "
            f"at most {LONGEST_NAME} characters"
        )
    return _check_reserved(package)


def check_yes_or_no(text: str) -> str | None:
    """Return what is allowed for a yes or no in words when `text` is neither, else None."""
    return None if YES_OR_NO.fullmatch(text) else "yes or no"


def check_python_version(version: str) -> str | None:
    """Return what is allowed for the version of Python when `version` is not, else None."""
    match = PYTHON_VERSION.fullmatch(version)
    if match and int(match[1]) >= OLDEST_PYTHON:
        return None
    return f"3.{OLDEST_PYTHON} or newer, as two numbers"


def suggest(question: str, answers: dict[str, object], check: Callable[[str], str | None]) -> str:
    """Return an answer that passes the check, as close to the given one as possible."""
    given = str(answers[question])
    if question in ("project_name", "description", "author"):
        printable = "".join(" " if _is_unprintable(character) else character for character in given)
        shortened = " ".join(printable.split())[:LONGEST_TEXT].strip()
        return shortened or {"author": "The authors of this project"}.get(
            question, "Handwriting Lab"
        )
    if question == "write_ssh_entry":
        return "no"
    if question == "python_version":
        return "3.12"
    separator = "_" if question == "package_name" else "-"
    name = _plain_name(given, separator) or f"my{separator}lab"
    return name if check(name) is None else f"my{separator}{name}"[:LONGEST_NAME]


def report(answers: dict[str, object], faults: list[Fault]) -> str:
    """Return what to tell the person: each fault, and the command that generates without them."""
    count = "One answer" if len(faults) == 1 else f"{len(faults)} answers"
    lines = [f"{count} cannot be used:"]
    for fault in faults:
        lines += [
            "",
            f"  {fault.question} = {fault.given!r}",
            f"    allowed:    {fault.allowed}",
            f"    suggestion: {fault.suggestion!r}",
        ]
    lines += [
        "",
        "Nothing was generated. With the suggestions:",
        "",
        f"  {_command(answers, faults)}",
    ]
    leftover = _first_folder_of(str(answers["project_slug"]))
    if leftover:
        lines += [
            "",
            f"cookiecutter made the folder {leftover!r} for this. Remove it if it is empty.",
        ]
    return "\n".join(lines)


def _command(answers: dict[str, object], faults: list[Fault]) -> str:
    """Return the command that generates the project with the faulty answers replaced."""
    import shlex
    import subprocess

    corrected = {**answers, **{fault.question: fault.suggestion for fault in faults}}
    words = ["uvx", "cookiecutter", str(answers.get("_template", "TEMPLATE"))]
    if answers.get("_checkout"):
        words += ["--checkout", str(answers["_checkout"])]
    output_folder = answers.get("_output_dir")
    if output_folder and output_folder != os.environ.get("PWD"):
        words += ["--output-dir", str(output_folder)]
    words.append("--no-input")
    words += [
        f"{question}={_literal(answer)}"
        for question, answer in corrected.items()
        if not question.startswith("_")
    ]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _literal(answer: object) -> str:
    """Return an answer for the command line, where cookiecutter renders it as a template."""
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    begin, end = "{" + "{ '", "' }" + "}"  # in one piece this file's own rendering would take them
    return re.sub("[{][%#{]", lambda opening: begin + opening[0] + end, str(answer))


def _first_folder_of(slug: str) -> str | None:
    """Return the folder that a slug with a path in it has made beside the project's own, if any."""
    parts = Path(slug).parts
    return parts[0] if len(parts) > 1 and parts[0] not in (os.sep, "..") else None


def _check_reserved(name: str) -> str | None:
    plain = name.replace("-", "_")
    if plain in OWN_NAMES:
        return "another name: the project has a folder with this name"
    if plain in DEPENDENCIES:
        return "another name: the project depends on a package with this name"
    standard = getattr(sys, "stdlib_module_names", sys.builtin_module_names)  # Python 3.9 has less
    if plain in standard or keyword.iskeyword(plain) or plain in SOFT_KEYWORDS:
        return "another name: Python itself uses this one"
    if plain in DEVICE_NAMES:
        return "another name: Windows reserves this one for a device"
    return None


def _is_unprintable(character: str) -> bool:
    """Return whether a character would end a line or vanish, which breaks TOML and YAML files."""
    is_noncharacter = ord(character) & 0xFFFE == 0xFFFE
    return is_noncharacter or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _plain_name(text: str, separator: str) -> str:
    """Return `text` as lower-case ASCII words that `separator` joins, from the first letter on."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = "".join(c if c.isalnum() else " " for c in ascii_text).lstrip(" 0123456789").split()
    return separator.join(words)[:LONGEST_NAME].rstrip(separator)


if __name__ == "__main__":
    raise SystemExit(main())
