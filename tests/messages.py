"""List every text that a person can read: `python tests/messages.py [FOLDER or FILE ...]`.

One line each, with its place. For whoever edits the words: read the list from top to bottom. It is
taken from the source by its syntax tree, so that a text that is put together over several lines is
one. In Python that is each string that is given to what speaks (the console, an error, an option of
click), each help text, and each other string that reads as a sentence; in a shell script each
quoted text that does; in cookiecutter.json each question. Docstrings are listed
where they are help.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["messages"]

REPOSITORY = Path(__file__).parents[1]
_TEMPLATE = "{{cookiecutter.project_slug}}"
PLACES = ("cookiecutter.json", "hooks", "src", f"{_TEMPLATE}/lab.py", f"{_TEMPLATE}/scripts",
          f"{_TEMPLATE}/src")  # fmt: skip
# Methods and functions whose strings are said, whatever these look like.
_SPEAKS = {
    "say", "next_step", "note", "warn", "error", "confirm", "ask", "ask_for_ssh", "ask_hidden",
    "wait_for_enter", "print", "Next", "Failure",
}  # fmt: skip
_WORDS = {"hint", "help", "short_help", "epilog", "metavar", "instructions", "message", "summary"}
_WORDS |= {"detail", "remedy"}
# Findings of `lab doctor`, whose first argument is the name of the check.
_CHECKS = {"ok", "skipped", "unknown"}
_SENTENCE = re.compile(r"(?:^|[\s(\"'{}])[A-Za-z][a-z']*,?(?: [a-z'{}]+,?){2,}")
_CODE = re.compile(r"\b(?:import|lambda|esac|done|elif)\b|[$]\{|&&|\\[dswb]|\(\?|\$\(|=\$|\|\|")


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of what a person can read from a file, in its order."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py" or path.name.endswith(".py.txt"):
        yield from sorted(set(_of_python(ast.parse(text.replace("@PACKAGE@", "package")))))
    elif path.suffix == ".sh":
        yield from _of_shell(text)
    elif path.name == "cookiecutter.json":
        yield from _of_questions(text)


def _of_python(tree: ast.Module) -> Iterator[tuple[int, str]]:
    documents = _docstrings(tree)
    spoken = _spoken(tree)
    inner = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if id(node) in inner or documents.get(id(node)) is False:
            continue
        text = _text(node)
        if text is None or not re.search(r"[A-Za-z]{2}", text):
            continue
        is_said = id(node) in spoken or documents.get(id(node), False)
        if is_said or (_SENTENCE.search(text) and not _CODE.search(text)):
            yield node.lineno, text  # type: ignore[attr-defined]


def _text(node: ast.AST) -> str | None:
    """Return a string of the source, with what is filled in as its expression in braces."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_part(part) for part in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.FormattedValue):
        return f"{{{ast.unparse(part.value)}}}"
    return part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else ""


def _docstrings(tree: ast.Module) -> dict[int, bool]:
    """Return the docstrings of a module, and if each is the help text of a command."""
    found: dict[int, bool] = {}
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        is_command = isinstance(node, ast.FunctionDef) and any(
            re.search(r"\b(?:command|group)\(", ast.unparse(each)) for each in node.decorator_list
        )
        for number, each in enumerate(body):
            if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
                found[id(each.value)] = is_command and number == 0
    return found


def _spoken(tree: ast.Module) -> set[int]:
    """Return the strings that are given to what speaks to a person."""
    found: set[int] = set()
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = ast.unparse(call.func).rpartition(".")[2]
        if name in _SPEAKS or name.endswith("Error"):
            found |= {id(part) for each in call.args for part in _parts(each)}
        if name in _CHECKS:
            found |= {id(part) for each in call.args[1:] for part in _parts(each)}
        for keyword in call.keywords:
            if keyword.arg in _WORDS:
                found |= {id(part) for part in _parts(keyword.value)}
    return found


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the strings that an expression can be: both sides of a condition, and of a sum."""
    match node:
        case ast.IfExp():
            yield from (*_parts(node.body), *_parts(node.orelse))
        case ast.BinOp():
            yield from (*_parts(node.left), *_parts(node.right))
        case ast.Constant() | ast.JoinedStr():
            yield node


def _of_shell(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        for quoted in re.findall(r"\"((?:[^\"\\]|\\.)*)\"|'([^']*)'", line):
            words = quoted[0] or quoted[1]
            if _SENTENCE.search(words) and not re.search(r"&&|\|\||=\$", words):
                yield number, words


def _of_questions(text: str) -> Iterator[tuple[int, str]]:
    lines = text.splitlines()
    for question in json.loads(text)["__prompts__"].values():
        for sentence in question.values() if isinstance(question, dict) else (question,):
            quoted = json.dumps(sentence, ensure_ascii=False)
            yield next(n for n, line in enumerate(lines, 1) if quoted in line), sentence


def _files(places: list[str]) -> Iterator[Path]:
    for place in places:
        path = REPOSITORY / place
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (each for each in inside if each.is_file() and "__pycache__" not in each.parts)


def main() -> None:
    """Print them."""
    for path in _files(sys.argv[1:] or list(PLACES)):
        for number, text in messages(path):
            words = " ".join(text.split())
            print(f"{path.relative_to(REPOSITORY)}:{number}: {words}")


if __name__ == "__main__":
    main()
