"""Check every answer before anything is generated, and report all faults at once.

cookiecutter renders this file and runs it in the new, still empty project folder. The answers
reach it as data: were they pasted into the code, a quotation mark would break it and an answer
could act as code. What most runs need not is imported where it is used: everybody waits for this.
"""

from __future__ import annotations

import json
import keyword
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

ANSWERS_AS_JSON = r"""{{ cookiecutter | tojson }}"""

LONGEST_TEXT = 200
LONGEST_NAME = 50  # longer ones would not fit into a line `from NAME import ...`
OLDEST_PYTHON = 11  # of Python 3

SLUG = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
PACKAGE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
ALIAS = re.compile(r"[a-z0-9][a-z0-9._-]*")
USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+@~-]*")
HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
YES_OR_NO = re.compile(r"1|true|t|yes|y|on|0|false|f|no|n|off", re.IGNORECASE)
PYTHON_VERSION = re.compile(r"3\.([0-9]{1,2})")

# Names that files cannot have on Windows, whatever their ending.
DEVICE_NAMES = {
    "con", "prn", "aux", "nul",
    *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)),
}  # fmt: skip
# Folders of a generated project, and the packages it is built on: a project or package of such a
# name would hide them, or could not be installed beside them.
OWN_NAMES = {"data", "docs", "lab", "labs", "outputs", "remote", "scripts", "src", "tests"}
DEPENDENCIES = {
    "click", "conda", "cookiecutter", "graphviz", "hatchling", "ipykernel", "ipython",
    "ipywidgets", "jupyter", "jupyter_client", "jupyter_core", "jupyter_server", "jupyterlab",
    "jupytext", "mamba", "matplotlib", "micromamba", "mypy", "nbconvert", "nbformat", "notebook",
    "numpy", "pandas", "papermill", "pillow", "pip", "pre_commit", "psutil", "pytest",
    "python_graphviz", "pytorch", "rich", "ruff", "scikit_learn", "scipy", "seaborn", "setuptools",
    "sklearn", "tensorboard", "tomllib", "torch", "torchaudio", "torchvision", "tqdm", "traitlets",
    "uv", "wheel", "yaml",
}  # fmt: skip


# In the project's folder: what git and the environment script have made there, and where files go
# that the template replaces.
NOT_THE_PERSONS = {".git", ".lab", ".venv"}
REPLACED = Path(".lab", "replaced")


class Fault:
    """An answer that cannot be used."""

    def __init__(self, question: str, given: object, allowed: str, suggestion: str) -> None:
        self.question = question
        self.given = given
        self.allowed = allowed
        self.suggestion = suggestion


def main() -> int:
    """Report all faulty answers, or keep what will be replaced; return 1 when it must not go on."""
    answers = json.loads(ANSWERS_AS_JSON)
    faults = find_faults(answers)
    if faults:
        print(report(answers, faults), file=sys.stderr)
        return 1
    try:
        keep_what_is_replaced(answers)
    except OSError as error:
        print(
            f"Nothing was generated: a file of yours would be replaced and could not be kept in "
            f"{REPLACED} ({error}).",
            file=sys.stderr,
        )
        return 1
    return 0


def find_faults(answers: dict[str, object]) -> list[Fault]:
    """Return every answer that cannot be used, in the order of the questions."""
    checks: dict[str, Callable[[str], str | None]] = {
        "project_name": check_text,
        "project_slug": check_slug,
        "package_name": check_package,
        "description": check_text,
        "author": check_text,
        "remote": check_remote,
        "ssh_alias": check_alias,
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
            faults.append(Fault(question, given, allowed, suggest(question, answers)))
    return faults


def keep_what_is_replaced(answers: dict[str, object]) -> None:
    """Copy the person's files that the template has, too; post_gen_project.py tells of them.

    That is for a folder that was there before: cookiecutter, told to generate into it, writes over
    what it finds and says nothing.
    """
    if not {entry.name for entry in os.scandir()} - NOT_THE_PERSONS:
        return
    import shutil
    import time

    kept = REPLACED / time.strftime("%Y-%m-%dT%H-%M-%S")
    kept.mkdir(parents=True)
    for name in generated_files(answers):
        if name.is_file():
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, kept / name)


def generated_files(answers: dict[str, object]) -> Iterator[Path]:
    """Yield the files that will be generated; none when it is not known where the template is."""
    template = Path(str(answers.get("_repo_dir", "")))
    for folder in template.glob("*cookiecutter.project_slug*"):
        for path in folder.rglob("*"):
            if path.is_file():
                parts = path.relative_to(folder).parts
                package = str(answers["package_name"])
                yield Path(*(package if "cookiecutter." in part else part for part in parts))


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


def check_remote(remote: str) -> str | None:
    """Return what is allowed for the remote machine when `remote` is not, else None.

    The same rules stand in src/remote/ssh/entry.py of the generated project, which does not exist
    yet when this runs; a test holds the two together.
    """
    rest = remote.strip(" ")
    if rest.lower().startswith("ssh://"):
        rest = rest[len("ssh://") :].removesuffix("/")
    user, at, host_and_port = rest.rpartition("@")
    host, port = _split_port(host_and_port)
    valid_user = not at or (USER.fullmatch(user) and len(user) <= 64)
    valid_port = port is None or (
        re.fullmatch(r"[0-9]{1,5}", port) is not None and 1 <= int(port) <= 65535
    )
    if not remote or (valid_user and valid_port and _is_host(host)):
        return None
    return (
        "user@host, user@host:port (1 to 65535), an SSH alias you have already, or nothing; an "
        "IPv6 address with a port in brackets"
    )


def check_alias(alias: str) -> str | None:
    """Return what is allowed for the SSH alias when `alias` is not, else None."""
    if not ALIAS.fullmatch(alias) or len(alias) > LONGEST_NAME:
        return (
            "lower-case letters, digits, dots, hyphens and underscores, a letter or digit first, "
            f"at most {LONGEST_NAME} characters"
        )
    if alias == "localhost" or re.fullmatch(r"[0-9.]+", alias):
        return f"a name of its own: `ssh {alias}` must go on meaning that address"
    if alias.split(".")[0] in DEVICE_NAMES:
        return "any other name: Windows keeps this one for a device"
    return None


def check_yes_or_no(text: str) -> str | None:
    """Return what is allowed for a yes or no in words when `text` is neither, else None."""
    return None if YES_OR_NO.fullmatch(text) else "yes or no"


def check_python_version(version: str) -> str | None:
    """Return what is allowed for the version of Python when `version` is not, else None."""
    match = PYTHON_VERSION.fullmatch(version)
    if match and int(match[1]) >= OLDEST_PYTHON:
        return None
    return f"3.{OLDEST_PYTHON} or newer, as two numbers"


def suggest(question: str, answers: dict[str, object]) -> str:
    """Return an answer that can be used, as close to the given one as possible."""
    given = str(answers[question])
    if question in ("project_name", "description", "author"):
        printable = "".join(" " if _is_unprintable(character) else character for character in given)
        shortened = " ".join(printable.split())[:LONGEST_TEXT].strip()
        return shortened or {"author": "Ada Lovelace"}.get(question, "Handwriting Lab")
    if question == "remote":
        return _suggest_remote(given)
    if question == "write_ssh_entry":
        return "no"
    if question == "python_version":
        return "3.12"
    separator = "_" if question == "package_name" else "-"
    name = _plain_name(given, separator) or f"my{separator}lab"
    check = {"project_slug": check_slug, "package_name": check_package}.get(question, check_alias)
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
            f"cookiecutter has made the folder {leftover!r} for this; remove it if it is empty.",
        ]
    return "\n".join(lines)


def _command(answers: dict[str, object], faults: list[Fault]) -> str:
    """Return the command that generates the project with the faulty answers replaced."""
    import shlex
    import subprocess

    corrected = answers | {fault.question: fault.suggestion for fault in faults}
    words = ["cookiecutter", str(answers.get("_template", "TEMPLATE"))]
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
        return "any other name: the project has a folder of this name"
    if plain in DEPENDENCIES:
        return "any other name: the project is built on a package of this name"
    standard = getattr(sys, "stdlib_module_names", sys.builtin_module_names)  # Python 3.9 has less
    if plain in standard or keyword.iskeyword(plain) or keyword.issoftkeyword(plain):
        return "any other name: Python itself uses this one"
    if plain in DEVICE_NAMES:
        return "any other name: Windows keeps this one for a device"
    return None


def _is_unprintable(character: str) -> bool:
    """Tell whether a character would end a line or vanish, which breaks TOML and YAML files."""
    is_noncharacter = ord(character) & 0xFFFE == 0xFFFE
    return is_noncharacter or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _split_port(text: str) -> tuple[str, str | None]:
    """Split `host:port` or `[address]:port`; two colons and no brackets are an IPv6 address."""
    bracketed = re.fullmatch(r"\[([^\[\]]*)\](?::(.*))?", text)
    if bracketed:
        return bracketed[1] if ":" in bracketed[1] else "", bracketed[2]
    if text.count(":") > 1:
        return text, None
    host, colon, port = text.partition(":")
    return host, port if colon else None


def _is_host(host: str) -> bool:
    """Tell whether `host` is an address or a name; ssh takes a name of digits for an address."""
    if ":" not in host and not host.rpartition(".")[2].isdigit():
        return HOST.fullmatch(host) is not None and len(host) <= 253
    import ipaddress

    try:
        ipaddress.IPv6Address(host) if ":" in host else ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return "%" not in host  # ssh would expand it


def _suggest_remote(given: str) -> str:
    """Return the longest remote that can be made of the characters that were given."""
    kept = re.sub(r"[^A-Za-z0-9_.@:+~-]", "", given.removeprefix("ssh://")).lstrip("-.+~:@")
    address, _, _ = kept.partition(":")
    return next(
        (text for text in (kept, address) if text and check_remote(text) is None),
        "ada@gpu.example.com",
    )


def _plain_name(text: str, separator: str) -> str:
    """Return `text` as lower-case ASCII words that `separator` joins, from the first letter on."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = "".join(c if c.isalnum() else " " for c in ascii_text).lstrip(" 0123456789").split()
    return separator.join(words)[:LONGEST_NAME].rstrip(separator)


if __name__ == "__main__":
    raise SystemExit(main())
