"""Answers that cannot be used are refused together, in sentences; all others stay text."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from baking import TEMPLATE_ROOT
from conftest import Bake
from cookiecutter.exceptions import FailedHookException, OutputDirExistsException
from hooks_as_modules import load_hook
from markdown_it import MarkdownIt
from template_copy import copy_template

from ml_remote.ssh import address

BAD_KINDS: dict[str, list[str]] = {
    "empty": [" ", "\t", "   "],
    "spaces": ["my lab", " lab", "lab "],
    "quotes": ['my"lab', "my'lab", '"lab"'],
    "backslash": ["my\\lab", "lab\\", "\\lab"],
    "newline": ["my\nlab", "lab\n", "my\r\nlab"],
    "jinja": ["{{ 7 * 7 }}", "{% raw %}", "lab{# #}"],
    "shell": ["$(touch canary)", "`touch canary`", "lab;touch canary"],
    "leading hyphen": ["-lab", "--help", "-"],
    "parent": ["../lab", "..lab", "lab.."],
    "absolute": ["/ABSOLUTE/lab", "/ABSOLUTE", "~/lab"],
    "dependency": ["torch", "jupyterlab", "ml_remote"],
    "standard module": ["json", "asyncio", "statistics"],
    "own folder": ["lab", "labs", "tests"],
    "device": ["con", "nul", "com1"],
    "upper case": ["Lab", "LAB", "mY-lab"],
    "long": ["a" * 64, "a" * 100, "a" * 200],
    "long host": ["a" * 254, "b." * 200, "ada@" + "c" * 300],
    "long text": ["a" * 201, "é" * 500, "a " * 300],
    "port": ["gpu:0", "ada@gpu:65536", "ada@gpu:ssh"],
    "host": ["ada@", "ada@gpu_\N{SNOWMAN}", "ada@[::1"],
    "user": ["@gpu", "a;b@gpu", "-ada@gpu"],
    "version": ["3", "3.10", "three"],
}
NAME_KINDS = [
    "empty", "spaces", "quotes", "backslash", "newline", "jinja", "shell", "leading hyphen",
    "parent", "absolute", "dependency", "standard module", "own folder", "device", "upper case",
    "long",
]  # fmt: skip
ALIAS_KINDS = [
    kind for kind in NAME_KINDS if kind not in ("dependency", "standard module", "own folder")
]
TEXT_KINDS = ["empty", "newline", "long text"]
BAD_KINDS_OF = {
    "project_name": TEXT_KINDS,
    "project_slug": NAME_KINDS,
    "package_name": NAME_KINDS,
    "description": TEXT_KINDS,
    "author": TEXT_KINDS,
    "remote": [
        "spaces", "quotes", "backslash", "newline", "jinja", "shell", "leading hyphen", "absolute",
        "port", "host", "user", "long host",
    ],
    "ssh_alias": ALIAS_KINDS,
    "python_version": ["empty", "newline", "jinja", "shell", "version"],
}  # fmt: skip
FURTHER = pytest.mark.slow
# A remote may be given with spaces around it, as copied from somewhere.
GOOD_AFTER_ALL = {("remote", " lab"), ("remote", "lab "), ("ssh_alias", "lab..")}
BAD_ANSWERS = {
    f"{question}-{kind}-{number}": (question, answer)
    for question, kinds in BAD_KINDS_OF.items()
    for kind in kinds
    for number, answer in enumerate(BAD_KINDS[kind])
    if (question, answer) not in GOOD_AFTER_ALL
}
# The quick part generates with one bad answer to each question, and with what could act as code or
# lead out of the folder; all of them are in it where nothing is generated.
QUICK_BAD_ANSWERS = {
    "project_name-newline-0", "project_slug-quotes-0", "project_slug-parent-0",
    "project_slug-absolute-0", "package_name-jinja-0", "description-empty-0", "author-long text-0",
    "remote-shell-0", "ssh_alias-backslash-0", "python_version-version-0",
}  # fmt: skip


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    return load_hook("pre_gen_project")


def as_literal(answer: str) -> str:
    """Return the answer so that cookiecutter's rendering of given answers gives it back."""
    return "{{ " + json.dumps(answer, ensure_ascii=False) + " }}"


def refusal(capfd: pytest.CaptureFixture[str], bake: Bake, **answers: str) -> str:
    """Bake with answers that must be refused, and return all that was printed."""
    given = {question: as_literal(answer) for question, answer in answers.items()}
    with pytest.raises(FailedHookException) as failure:
        bake(**given)
    printed = capfd.readouterr()
    message = f"{printed.out}{printed.err}{failure.value}"
    assert "Traceback" not in message
    return message


@pytest.mark.parametrize(("question", "answer"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_bad_answer_is_found_and_the_suggestion_is_not(
    question: str, answer: str, hook: ModuleType
) -> None:
    (fault,) = hook.find_faults({**hook_answers(), question: answer}, tool=address)
    assert (fault.question, fault.given) == (question, answer)
    corrected = {**hook_answers(), question: fault.suggestion}
    assert hook.find_faults(corrected, tool=address) == []


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        pytest.param(*bad, id=name, marks=[] if name in QUICK_BAD_ANSWERS else [FURTHER])
        for name, bad in BAD_ANSWERS.items()
    ],
)
def test_bad_answer_is_refused_with_a_suggestion_and_nothing_is_left(
    question: str,
    answer: str,
    bake: Bake,
    hook: ModuleType,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    answer = answer.replace("/ABSOLUTE", f"{tmp_path}/absolute")
    output = tmp_path / "output"
    # A folder name that depends on no other answer: cookiecutter makes it before the hook runs.
    answers = {"project_slug": "my-lab", question: answer}
    message = refusal(capfd, lambda **given: bake(output, **given), **answers)
    assert f"{question} = {answer!r}" in message
    suggestion = re.search(rf"{question} = .*\n    allowed: .*\n    suggestion: (.*)", message)
    assert suggestion is not None
    corrected = hook.find_faults(
        {**hook_answers(), question: eval_literal(suggestion[1])}, tool=address
    )
    assert corrected == []
    assert [path for path in output.iterdir() if path.name != "~"] == []
    assert not (tmp_path / "absolute" / "lab" / "lab.toml").exists()


def eval_literal(text: str) -> str:
    """Return the string that `text` is the Python literal of."""
    import ast

    value = ast.literal_eval(text)
    assert isinstance(value, str)
    return value


def hook_answers() -> dict[str, str]:
    """Return answers with which the hook has nothing to find."""
    return {
        "project_name": "Lab",
        "project_slug": "my-lab",
        "package_name": "my_lab",
        "description": "A lab",
        "author": "Ada",
        "remote": "",
        "ssh_alias": "my-lab",
        "write_ssh_entry": "yes",
        "python_version": "3.12",
    }


def test_every_free_answer_is_tried_with_bad_ones() -> None:
    questions = json.loads((TEMPLATE_ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    free = {name for name, default in questions.items() if isinstance(default, str)}
    assert set(BAD_KINDS_OF) == {name for name in free if not name.startswith("_")}


@pytest.mark.slow
def test_all_faults_are_reported_at_once_with_a_command_that_works(
    bake: Bake, tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = {
        "project_name": "Tea & \"Tau\" {{ '{{' }}",
        "project_slug": "My Lab",
        "package_name": "torch",
        "remote": "ada@gpu:99999",
        "ssh_alias": "-x",
        "python_version": "2.7",
    }
    output = tmp_path / "out put"
    message = refusal(capfd, lambda **answers: bake(output, **answers), **bad)
    assert "5 answers cannot be used" in message
    for question in list(bad)[1:]:
        assert f"{question} = {bad[question]!r}" in message
    command = next(line for line in message.splitlines() if line.startswith("  uvx "))
    subprocess.run(
        [sys.executable, "-m", *shlex.split(command)[1:]], check=True, stdout=subprocess.DEVNULL
    )
    project = output / "my-lab"
    assert (project / "README.md").read_text(encoding="utf-8").startswith("# Tea")
    assert "{{ '{{' }}" in (project / "README.md").read_text(encoding="utf-8")


def test_name_without_a_letter_gets_a_folder_all_the_same(bake: Bake, tmp_path: Path) -> None:
    project = bake(tmp_path, project_name="🦜 !")
    assert (project.path, project.package) == (tmp_path / "my-lab", "my_lab")


@pytest.mark.parametrize("slug", ["", ".", ".."])
def test_slug_that_names_an_existing_folder_is_stopped_by_cookiecutter(
    slug: str, bake: Bake, tmp_path: Path
) -> None:
    with pytest.raises(OutputDirExistsException, match="already exists"):
        bake(tmp_path / "a" / "b", project_slug=slug)
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("license", "GPL"),
        ("license", ""),
        ("license", "mit"),
        ("environment_manager", "pip"),
        ("environment_manager", ""),
        ("environment_manager", "Conda"),
        ("write_ssh_entry", "maybe"),
        ("write_ssh_entry", ""),
        ("write_ssh_entry", "2"),
    ],
)
def test_choice_that_does_not_exist_is_stopped_and_nothing_is_generated(
    question: str, answer: str, bake: Bake, tmp_path: Path
) -> None:
    # By cookiecutter itself; an old one leaves a yes or no to the hook.
    stopped = f"{re.escape(answer)} provided for|Hook script failed"
    with pytest.raises((ValueError, FailedHookException), match=stopped):
        bake(tmp_path / "output", **{question: answer})
    assert list((tmp_path / "output").iterdir()) == []


AWKWARD_TEXTS = {
    "quotes": """It's "quoted" 'twice' \"\"\"thrice\"\"\"""",
    "backslashes": r"C:\new\table \\ \" \u0041 \*plain\*",
    "jinja": "{{ cookiecutter.author }} {% raw %} {# gone? #} {{ 7 * 7 }}",
    "emoji": "Ada 👩‍🔬 learns 🚀",
    "non-latin": "Мария 機械学習 عربى ελληνικά",
    "markup": "<script>alert(1)</script> *bold* `code` [link](x) & _under_ #1 | a: b - c",
    "shell": "$(touch canary) `touch canary` ${HOME} ; rm -rf x",
    "yaml": "yes: no # - ? | > & * ! % @ `",
}


def answer_by_hand(output: Path, home: Path, **answers: str) -> subprocess.CompletedProcess[str]:
    """Answer cookiecutter's questions as a person does, so that nothing is rendered on the way."""
    questions = json.loads((TEMPLATE_ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    lines = [answers.get(name, "") for name in questions if not name.startswith("_")]
    configuration = home / "configuration.yaml"
    configuration.write_text(f"replay_dir: {home}/replay\ncookiecutters_dir: {home}/templates\n")
    return subprocess.run(
        [sys.executable, "-m", "cookiecutter", str(TEMPLATE_ROOT), "--output-dir", str(output),
         "--config-file", str(configuration)],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text, id=name, marks=[] if name == "jinja" else [FURTHER])
        for name, text in AWKWARD_TEXTS.items()
    ],
)
def test_awkward_answer_comes_out_as_the_same_text(text: str, tmp_path: Path, home: Path) -> None:
    done = answer_by_hand(
        tmp_path, home, project_name=text, project_slug="my-lab", description=text, author=text
    )
    assert done.returncode == 0, done.stderr
    project = tmp_path / "my-lab"
    metadata = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["description"] == text
    assert metadata["authors"] == [{"name": text}]
    assert f"Copyright (c) {text}\n" in (project / "LICENSE").read_text(encoding="utf-8")
    assert rendered_paragraphs(project / "README.md")[:2] == [text, text]
    for path in project.rglob("*.yml"):
        yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in [*project.rglob("*.json"), *project.rglob("*.ipynb")]:
        if ".vscode" not in path.parts and ".devcontainer" not in path.parts:
            json.loads(path.read_text(encoding="utf-8"))
    for path in project.rglob("*.py"):
        compile(path.read_bytes(), path, "exec")
        assert text not in path.read_text(encoding="utf-8")
    assert not list(tmp_path.rglob("canary"))


def rendered_paragraphs(path: Path) -> list[str]:
    """Return the texts of headings and paragraphs as a reader of the Markdown file sees them."""
    tokens = MarkdownIt("commonmark").parse(path.read_text(encoding="utf-8"))
    return [
        "".join(part.content if part.type != "softbreak" else "\n" for part in token.children or [])
        for token in tokens
        if token.type == "inline"
    ]


@pytest.mark.parametrize(
    "remote",
    ["gpu", "ada@gpu", "ada@gpu:2222", "ssh://ada@gpu.example.com:22/", "ada@192.0.2.7",
     "2001:db8::1", "ada@[2001:db8::1]:2222", " ada@gpu "],
)  # fmt: skip
def test_remote_as_people_type_it_is_accepted(remote: str, hook: ModuleType) -> None:
    assert hook.find_faults({**hook_answers(), "remote": remote}, tool=address) == []


def test_hook_has_the_rules_of_the_command_and_leaves_no_bytecode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the template's path is relative, too; tests/tool/test_entry.py has the rules."""
    copy_template(tmp_path / "template")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    done = subprocess.run(
        [sys.executable, "-m", "cookiecutter", "template", "--no-input", "--output-dir", "a/b",
         "remote=ada@gpu:65536", "ssh_alias=localhost"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    for fault in (address.remote_fault("ada@gpu:65536"), address.alias_fault("localhost")):
        assert f"allowed:    {fault}" in done.stderr
    assert not list(tmp_path.rglob("*.pyc"))


def test_without_the_rules_an_alias_is_still_nothing_but_a_name(hook: ModuleType) -> None:
    """As under cruft, which does not say where the template is."""
    assert hook.load_address_rules({"_template": "https://example.com/t", "_commit": "1"}) is None
    for alias in ('gpu"', "-gpu", "gpu lab", "gpu\n"):
        (fault,) = hook.find_faults({**hook_answers(), "ssh_alias": alias}, tool=None)
        assert hook.find_faults({**hook_answers(), "ssh_alias": fault.suggestion}, tool=None) == []


@pytest.mark.parametrize("answer", [True, False, "yes", "No", "true", "False", "y", "0", "on"])
def test_yes_and_no_are_taken_as_cookiecutter_takes_them(answer: object, hook: ModuleType) -> None:
    assert hook.find_faults({**hook_answers(), "write_ssh_entry": answer}, tool=address) == []


@pytest.mark.parametrize("answer", ["maybe", "", "2", "yes ", None, 1])
def test_what_is_neither_yes_nor_no_is_refused_where_cookiecutter_passes_it_on(
    answer: object, hook: ModuleType
) -> None:
    (fault,) = hook.find_faults({**hook_answers(), "write_ssh_entry": answer}, tool=address)
    assert fault.allowed in ("yes or no", "a text")
    assert fault.suggestion == "no"


def test_template_refuses_its_own_dependencies_as_names(hook: ModuleType) -> None:
    rendered = (TEMPLATE_ROOT / "{{cookiecutter.project_slug}}" / "pyproject.toml").read_text()
    names = re.findall(r'^    "([A-Za-z0-9-]+)>=', rendered, re.MULTILINE)
    assert len(names) > 15
    assert [name for name in names if hook.check_slug(name) is None] == []


def test_oldest_python_checks_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.8 knows no soft keywords, and joins no dicts by `|`."""
    monkeypatch.delattr("keyword.issoftkeyword")
    hook = load_hook("pre_gen_project")
    assert hook.check_package("match") == "another name: Python itself uses this one"
    monkeypatch.setattr(hook.sys, "version_info", (3, 8, 10))
    assert hook.load_address_rules({"_repo_dir": str(TEMPLATE_ROOT)}) is None
    for name in ("pre_gen_project.py", "post_gen_project.py"):
        tree = ast.parse((TEMPLATE_ROOT / "hooks" / name).read_text(), feature_version=(3, 8))
        joined = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp)]
        shown = {ast.unparse(one) for one in joined if isinstance(one.op, ast.BitOr)}
        assert all(
            text.endswith(" | None") or text.startswith(("subprocess.", "mode |")) for text in shown
        ), shown
