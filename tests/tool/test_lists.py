"""The two lists of packages are changed line by line; all else stays as it is."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ml_remote.errors import LabError, UsageError
from ml_remote.far.login.environment.lists import digest_of
from ml_remote.package_lists import environment_yml, lock, pyproject
from ml_remote.package_lists.conda_locks import keep_conda_lock
from ml_remote.package_lists.local import texts_here
from ml_remote.package_lists.requirements import has_login, parse
from ml_remote.package_lists.sending import lists_folder
from ml_remote.package_lists.texts import Texts, read_texts, write_texts
from ml_remote.packages import _with_conda
from ml_remote.ui.console import Console

YML = """\
# ours
channels: [conda-forge]
dependencies:
- python=3.12 # the newest
# tools
- ruff>=0.8
- zarr   # last
"""
TOML = """\
[project]
name = "x"
requires-python = ">=3.11,<4"
dependencies = ["b", "d>=1"]   # why
[tool.x]
y = [
  1, # one
]
"""


def test_package_goes_where_the_alphabet_has_it_and_comments_stay() -> None:
    added = environment_yml.with_package(YML, "scipy", ">=1")
    assert added == YML.replace("- zarr", "- scipy>=1\n- zarr")
    assert environment_yml.with_package(added, "scipy", ">=2") == added.replace(">=1", ">=2")
    with_pip = environment_yml.with_pip_requirement(added, "einops>=0.8")
    assert with_pip == added + "- pip:\n  - einops>=0.8\n"
    two = environment_yml.with_pip_requirement(with_pip, "a @ git+https://example.com/a")
    assert two == with_pip + "  - a @ git+https://example.com/a\n"
    one = environment_yml.without(two, "a", "a")
    assert environment_yml.without(one, "einops", "einops") == added
    assert environment_yml.without(added, "scipy", "scipy") == YML


TIMM = "timm>=1"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("- a\n- pip:\n", f"- a\n- pip:\n  - {TIMM}\n"),
        ("- pip:\n- a\n", f"- pip:\n  - {TIMM}\n- a\n"),
        ("- pip: # none\n", f"- pip: # none\n  - {TIMM}\n"),
        ("- pip:\n  - timm\n  - b # why\n  - Timm<1\n", f"- pip:\n  - {TIMM}\n  - b # why\n"),
        ("-   a\n-   sel(linux): gcc\n", f"-   a\n- pip:\n  - {TIMM}\n-   sel(linux): gcc\n"),
        ("- sel(linux): gcc\n", f"- pip:\n  - {TIMM}\n- sel(linux): gcc\n"),
        ("- a", f"- a\n- pip:\n  - {TIMM}\n"),
        ("- pip: [a]\n", None),
        ("- {pip: [a]}\n", None),
        ("- pip: ~\n", None),
        ("- pip: a\n", None),
        ("- pip:\n  - 'timm\n\n    >=0'\n", None),
        ("- 'a\n\n  >=1'\n", None),
    ],
)
@pytest.mark.parametrize("dash", ["", "  "])
def test_requirement_of_pip_has_a_line_of_its_own_or_is_refused(
    before: str, after: str | None, dash: str
) -> None:
    def file(text: str) -> str:
        return "name: x\ndependencies:\n" + textwrap.indent(text, dash)

    if after is not None:
        assert environment_yml.with_pip_requirement(file(before), TIMM) == file(after)
        return
    with pytest.raises(LabError, match="cannot be changed line by line"):
        environment_yml.with_pip_requirement(file(before), TIMM)


def test_only_the_package_that_is_meant_is_taken_out_of_a_list_of_conda() -> None:
    with pytest.raises(LabError, match="cannot be changed line by line"):
        environment_yml.without("dependencies:\n- a\n- pip: [b, c]\n", "b", "b")
    several = "dependencies:\n- a\n- a<2\n- sel(linux): gcc\n- pip:\n  - b\n  - b<2\n"
    left = environment_yml.without(several, "b", "b")
    assert left == "dependencies:\n- a\n- a<2\n- sel(linux): gcc\n"
    assert environment_yml.with_package(left, "a", ">=3") == left.replace("a\n- a<2", "a>=3")
    only_pip = "dependencies:\n- pip:\n  - b\n"
    added = environment_yml.with_package(only_pip, "a", "")
    assert added == only_pip.replace("- pip", "- a\n- pip")
    for text in ("- 'a\n  >=1'\n- b\n", "- >-\n  a\n- b\n"):  # entries of several lines
        with pytest.raises(LabError, match="cannot be changed line by line"):
            environment_yml.without(f"dependencies:\n{text}", "a", "a")


@pytest.mark.parametrize(
    "text",
    [
        *("", "a: b", "dependencies: []", "- [", "dependencies: {a: b}", "a: 2026-13-45"),
        "a: " + "[" * 999,
    ],
)
def test_list_that_cannot_be_read_is_told(text: str) -> None:
    with pytest.raises(LabError, match=r"environment\.yml cannot be read"):
        environment_yml.with_package(text, "scipy", "")


def test_link_to_something_else_is_neither_sent_nor_written(tmp_path: Path) -> None:
    root, secret = tmp_path / "project", tmp_path / "id_ed25519"
    (root / ".git").mkdir(parents=True)
    (root / "pyproject.toml").write_text(TOML)
    (root / "scripts").mkdir()
    (root / "scripts" / "setup-environment.sh").touch()  # lists of ours
    for path in (secret, root / ".git" / "config", root / "lab.local.toml"):
        path.write_text("secret")
    (root / "shared.yml").write_text(YML)
    (root / "environment.yml").symlink_to("shared.yml")
    assert texts_here(root)["environment.yml"] == YML
    for name in ("environment.yml", "requirements.lock", "conda-linux-64.lock"):
        for target in ("../id_ed25519", ".git/config", "lab.local.toml", name):
            (root / name).unlink(missing_ok=True)
            (root / name).symlink_to(target)
            with pytest.raises(LabError, match="outside the project"):
                texts_here(root)
            if "conda" not in name:
                with pytest.raises(LabError, match="outside the project"):
                    read_texts(root)
            else:
                text = "@EXPLICIT\nhttps://example.com/a.conda#00\n"
                keep_conda_lock(root, name, text, Console())
        (root / name).unlink()
    assert secret.read_text() == (root / ".git" / "config").read_text() == "secret"


def test_requirement_is_inserted_replaced_and_taken_out() -> None:
    added = pyproject.with_requirement(TOML, Requirement("c<2"))
    assert added == TOML.replace('"b", "d>=1"', '"b", "c<2", "d>=1"')
    replaced = pyproject.with_requirement(added, Requirement("C[x]>=3"))
    assert replaced == added.replace('"c<2"', '"C[x]>=3"')
    assert pyproject.without(added, "c") == TOML
    assert pyproject.requirements(TOML) == ["b", "d>=1"]
    assert pyproject.oldest_python(TOML) == "3.11"
    with pytest.raises(LabError, match=r"pyproject\.toml cannot be read"):
        pyproject.requirements("[project\n")


def test_requirement_takes_the_place_of_all_of_its_name_in_each_list() -> None:
    text = """\
[project]
dependencies = ["six>=1", "a"]
[project.optional-dependencies]
lab = [
  "Six<2; python_version < '3.12'", # old
  "b", # stays
  "six; python_version >= '3.12'", # new
]
"""
    assert pyproject.requirements(pyproject.with_requirement(text, Requirement("six>=2"))) == [
        *("six>=2", "a", "six>=2", "b")
    ]
    left = pyproject.without(text, "six")
    assert pyproject.requirements(left) == ["a", "b"]
    assert '"b", # stays' in left


OLD, NEW = "python_version < '3.12'", "python_version >= '3.12'"


@pytest.mark.parametrize(
    ("listed", "asked", "after"),
    [
        (["six"], "six", ["six"]),
        (["six>=1"], "six[a]", ["six[a]>=1"]),
        (["six[b]>=1"], "six[a]", ["six[a,b]>=1"]),
        (["six[a]>=1"], "six", ["six[a]>=1"]),
        (["six[a]>=1"], "six>=2", ["six[a]>=2"]),
        (["six[a]>=1"], "six @ https://x.org/six.whl", ["six[a] @ https://x.org/six.whl"]),
        (["six @ https://x.org/six.whl"], "six[a]", ["six[a] @ https://x.org/six.whl"]),
        (["six>=1"], f"six; {OLD}", ["six>=1"]),
        (["six>=1"], f"six[a]; {OLD}", ["six>=1", f"six[a]; {OLD}"]),
        (["six>=1"], f"six<2; {OLD}", ["six>=1", f"six<2; {OLD}"]),
        ([f"six<2; {OLD}"], f"six>=2; {NEW}", [f"six<2; {OLD}", f"six>=2; {NEW}"]),
        ([f"six<2; {OLD}"], f"six<3; {OLD}", [f"six<3; {OLD}"]),
        ([f"six<2; {OLD}", f"six; {NEW}"], "six[a]", [f"six[a]<2; {OLD}", f"six[a]; {NEW}"]),
        ([f"six<2; {OLD}", f"six; {NEW}"], "six>=3", ["six>=3"]),
    ],
)
def test_what_is_added_to_a_package_that_is_listed(
    listed: list[str], asked: str, after: list[str]
) -> None:
    """Bounds are replaced, extras come together, and conditions make entries of their own."""
    text = f"[project]\ndependencies = {json.dumps(['a', *listed, 'z'])}\n"
    found = pyproject.requirements(pyproject.with_requirement(text, Requirement(asked)))
    assert list(map(Requirement, found)) == list(map(Requirement, ["a", *after, "z"]))


@pytest.mark.parametrize("address", ["git+https://x.org/a/b", "https://x.org/b.whl"])
def test_address_without_a_name_is_told_where_the_name_goes(address: str) -> None:
    with pytest.raises(UsageError, match="is not a requirement") as error:
        parse(address)
    assert error.value.hint == f"Put its name before the address: lab add 'NAME @ {address}'"


@pytest.mark.parametrize(
    ("address", "is_told"),
    [
        ("https://ada:secret@x.org/b.whl", True),
        ("git+https://oauth2:token@x.org/a/b@main", True),
        ("https://token@x.org/b.whl", True),
        ("git+ssh://git@x.org/a/b", False),
        ("https://x.org:8080/b@1:2/b.whl", False),
        ("https://ada:${TOKEN}@x.org/b.whl", False),
    ],
)
def test_password_in_an_address_is_seen(address: str, is_told: bool) -> None:
    assert has_login(Requirement(f"b @ {address}")) is is_told


def test_package_is_in_one_place_of_the_list_of_conda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml_remote.packages.conda_name", {"zarr": "zarr"}.get)

    def after(text: str, *entries: str) -> str:
        return _with_conda(text, list(map(Requirement, entries)), Console())

    with_extra = after(YML, "zarr[s3]>=2")
    assert with_extra == YML.replace("- zarr ", "- zarr>=2 ") + "- pip:\n  - zarr[s3]>=2\n"
    from_address = after(with_extra, "zarr @ https://x.org/z.whl")
    others = YML.replace("- zarr   # last\n", "")
    assert from_address == f"{others}- pip:\n  - zarr @ https://x.org/z.whl\n"
    assert after(from_address, "zarr>=3") == others.replace("newest\n", "newest\n- zarr>=3\n")
    several = after(YML, f"six<2; {OLD}", f"six; {NEW}").replace('"', "'")
    assert several == f"{YML}- pip:\n  - six<2; {OLD}\n  - six; {NEW}\n"
    flow = "dependencies:\n- a\n- pip: [b]\n"
    assert after(flow, "zarr>=1") == flow.replace("- pip", "- zarr>=1\n- pip")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("project = 1", "project is not a table"),
        ("[[project]]", "project is not a table"),
        ("[project]\noptional-dependencies = 3", "project.optional-dependencies is not a table"),
        ("[project]\ndependencies = 'six'", "dependencies is not a list of strings"),
        ("[project]\ndependencies = [1]", "dependencies is not a list of strings"),
        ("[project.optional-dependencies]\nlab = {}", "lab is not a list of strings"),
        ("tool = 1", "tool is not a table"),
        ("[tool]\nlab = 1", "tool.lab is not a table"),
        ("[tool.lab]\nindex-options = 3", "index-options is not a list of strings"),
    ],
)
def test_list_of_wrong_types_is_told(text: str, said: str) -> None:
    def read_and_change() -> None:
        pyproject.requirements(text)
        pyproject.options(text)
        pyproject.with_requirement(text, Requirement("six"))

    with pytest.raises(LabError, match=re.escape(said)):
        read_and_change()


def test_change_that_other_programs_would_read_otherwise_is_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for wrong in ("[project", "[project]\n"):
        monkeypatch.setattr("tomlkit.dumps", lambda _, wrong=wrong: wrong)
        with pytest.raises(LabError, match=r"cannot be changed safely"):
            pyproject.with_requirement(TOML, Requirement("c"))


def test_lock_is_behind_when_a_list_asks_for_more() -> None:
    text = "# made\na==1.0 ; sys_platform == 'linux'\na==1.1 ; sys_platform != 'linux'\nb-c==2\n"
    assert lock.versions(text) == {"a": ["1.0", "1.1"], "b-c": ["2"]}
    assert not lock.is_behind(text, ["a>=1", "B_c"])
    assert lock.is_behind(text, ["a>=1.1"])
    assert lock.is_behind(text, ["d"])
    assert lock.differences(text, "a==2\nd==1\n") == [
        "  a 1.0 or 1.1 -> 2",
        "  - b-c 2",
        "  + d 1",
    ]


def test_hash_is_the_same_on_every_system() -> None:
    assert digest_of({"pyproject.toml": "a\r\nb\r\n"}) == digest_of({"pyproject.toml": "a\nb\n"})
    assert digest_of({"pyproject.toml": "a"}) != digest_of({"environment.yml": "a"})
    assert digest_of({"pyproject.toml": "a", "x": "y"}) == digest_of({"pyproject.toml": "a"})


@pytest.mark.parametrize("name", ["pyproject.toml", "environment.yml", "requirements.lock"])
def test_lists_that_another_command_changes_meanwhile_are_all_left_as_they_are(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"[project]\r\ndependencies = []\r\n")
    (tmp_path / "environment.yml").write_text("dependencies:\n  - python\n")
    before = read_texts(tmp_path)
    after = Texts(
        pyproject=pyproject.with_requirement(before.pyproject, Requirement("timm")),
        environment=environment_yml.with_package(before.environment, "timm", ""),
        lock="timm==1.0\n",
    )
    (tmp_path / name).write_text("another one\n")
    there = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(LabError, match="The lists were not changed"):
        write_texts(tmp_path, before, after)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == there


def test_byte_order_mark_is_named() -> None:
    with pytest.raises(LabError, match="byte order mark"):
        pyproject.requirements("\ufeff[project]\n")


@pytest.mark.parametrize("name", ["pyproject.toml", "environment.yml", "requirements.lock"])
def test_list_that_is_half_merged_is_neither_sent_nor_changed(tmp_path: Path, name: str) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "setup-environment.sh").touch()
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / name).write_text("<<<<<<< HEAD\na==1\n=======\na==2\n>>>>>>> other\n")
    for act in (read_texts, lists_folder):
        with pytest.raises(LabError, match=f"{name} is half merged"):
            act(tmp_path)


URL = "https://conda.example/conda-forge/noarch/{}-1.0-py_0.conda#" + "0" * 32
CONDA_LOCK = f"# lists: abc\n# card: \n@EXPLICIT\n#0123\n{URL.format('alpha')}\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("../conda-linux-64.lock", CONDA_LOCK),
        ("conda-odd.lock", CONDA_LOCK),
        ("conda-linux-64.lock", "nothing\n"),
        ("conda-linux-64.lock", CONDA_LOCK + "$(touch here)\n"),
        ("conda-linux-64.lock", CONDA_LOCK + "--channel=https://host/#0\n"),
        ("conda-linux-64.lock", CONDA_LOCK + "# \x1b[31m\n"),
        ("conda-linux-64.lock", CONDA_LOCK + f"{URL.format('a')}\n" * 20_000),
    ],
)
def test_only_a_lock_of_conda_is_taken_from_the_machine(
    name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "project").mkdir()
    keep_conda_lock(tmp_path / "project", name, text, Console())
    assert not list(tmp_path.rglob("conda-*.lock"))
    assert "was not used" in capsys.readouterr().err


def test_lock_of_conda_is_written_and_the_line_to_commit_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "conda-linux-64.lock"
    keep_conda_lock(tmp_path, name, CONDA_LOCK, Console())
    assert (tmp_path / name).read_text() == CONDA_LOCK
    assert f"git add {name}; git commit" in capsys.readouterr().out
    other_order = "".join(f"{line}\n" for line in reversed(CONDA_LOCK.splitlines()))
    keep_conda_lock(tmp_path, name, other_order, Console())
    assert capsys.readouterr().out == ""
    keep_conda_lock(tmp_path, name, CONDA_LOCK.replace("# card: ", "# card: 12.6"), Console())
    assert "for machines without a card, so it was kept" in capsys.readouterr().out
    newer = CONDA_LOCK.replace("alpha-1.0", "alpha-1.1")
    keep_conda_lock(tmp_path, name, newer, Console())
    assert (tmp_path / name).read_text() == newer
