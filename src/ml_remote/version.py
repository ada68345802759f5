"""The version of the tool, and where it was installed from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .parsing import parse_json, parse_toml

__all__ = ["Version", "this_version"]

_NAME = "ml-remote"


@dataclass(frozen=True, kw_only=True)
class Version:
    """The number of a version, and what it was installed from."""

    number: str
    commit: str | None = None
    """The commit in full, of an installation from git."""
    folder: Path | None = None
    """The checkout that it runs from."""
    url: str | None = None
    """The repository, of an installation from git."""

    @property
    def source(self) -> tuple[str, ...] | None:
        """The options with which `uv tool run` brings this very version, if there are any."""
        if self.url is not None and self.commit is not None:
            return "--from", f"{_NAME} @ git+{self.url}@{self.commit}"
        if self.folder is not None and (self.folder / "pyproject.toml").is_file():
            return "--with-editable", str(self.folder), "--from", str(self.folder)
        return None

    def __str__(self) -> str:
        if self.folder is not None:
            return f"{self.number} from {self.folder}" + _described(_checked_out(self.folder))
        return self.number + _described(self.commit)


def this_version() -> Version:
    """Return the version of the code that runs now."""
    package = Path(__file__).resolve().parent
    checkout = package.parent.parent
    if package.parent.name == "src" and (checkout / "pyproject.toml").is_file():
        return Version(number=_number_in(checkout), folder=checkout)
    from importlib import metadata  # a checkout does without

    try:
        found = metadata.distribution(_NAME)
    except metadata.PackageNotFoundError:
        return Version(number="of an unknown version", folder=package.parent)
    source = parse_json(found.read_text("direct_url.json") or "{}")
    commit = source.get("vcs_info", {}).get("commit_id")
    return Version(number=found.version, commit=commit, url=source.get("url") if commit else None)


def _described(commit: str | None) -> str:
    return "" if commit is None else f", commit {commit}"


def _number_in(checkout: Path) -> str:
    """Return the version that a checkout of the tool has."""
    tables = parse_toml((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    return str(tables["project"]["version"])


def _checked_out(checkout: Path) -> str | None:
    """Return the commit that is checked out, None without git."""
    from .errors import ConfigurationError
    from .git import git_command, git_variables
    from .processes import run

    command = git_command("-C", str(checkout), "rev-parse", "--show-toplevel", "HEAD")
    try:
        done = run(command, variables=git_variables())
    except ConfigurationError:
        return None
    top, _, commit = done.stdout.strip().partition("\n")
    found = done.returncode == 0 and Path(top).resolve() == checkout
    return commit if found else None
