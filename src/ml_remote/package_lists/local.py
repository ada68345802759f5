"""The lists on this computer, and their hash."""

from __future__ import annotations

from pathlib import Path

from ..errors import LabError
from ..far.login.environment.lists import NAMES, digest_of
from .paths import list_path
from .sources import source_of

__all__ = ["digest_here", "texts_here"]


def digest_here(root: Path) -> str:
    """Return the hash of the lists; "" if the project has none."""
    texts = texts_here(root)
    return digest_of(texts) if texts else ""


def texts_here(root: Path) -> dict[str, str]:
    """Return the lists by name. Raises LabError when one of them cannot be read.

    Those of a repository that has its own come in the form that the machine takes.
    """
    if source := source_of(root):
        from .converting import converted_lists

        return converted_lists(root, source)
    texts = {}
    names = [*NAMES, *(path.name for path in sorted(root.glob("conda-*.lock")))]
    for name in names:
        try:
            texts[name] = list_path(root, name).read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise LabError(f"{name} cannot be read: {error}", hint=f"Correct {name}") from None
    return texts
