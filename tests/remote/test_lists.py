"""The two lists of packages are changed line by line; all else stays as it is."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from ml_remote.errors import LabError
from ml_remote.far.login.environment.lists import digest_of
from ml_remote.lists import environment_yml, lock, pyproject

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


@pytest.mark.parametrize("text", ["", "a: b", "dependencies: []", "- [", "dependencies: {a: b}"])
def test_list_that_cannot_be_read_is_told(text: str) -> None:
    with pytest.raises(LabError, match=r"environment\.yml cannot be read"):
        environment_yml.with_package(text, "scipy", "")


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
