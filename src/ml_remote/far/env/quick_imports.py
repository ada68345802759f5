"""What takes long to import, and what no program of ours needs."""

from __future__ import annotations

import sys

__all__ = ["skip_iri_grammar"]

# jsonschema, which checks notebooks, imports it where it is installed, to tell an IRI from other
# text. No notebook has one, and the grammar that it builds at import takes more than a second.
_IRI_GRAMMAR = "rfc3987_syntax"


def skip_iri_grammar() -> None:
    """Hide the package of IRI grammars from jsonschema, as if it were not installed.

    None in the place of a module is how Python is told that there is none.
    """
    sys.modules.setdefault(_IRI_GRAMMAR, None)  # type: ignore[arg-type]
