"""The pages as a site: `make docs` builds it, and fails for what a reader would stumble over."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT

pytestmark = pytest.mark.slow


def build(folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", site],
        cwd=folder,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )


def test_every_page_is_built_and_fetches_nothing_from_elsewhere(tmp_path: Path) -> None:
    done = build(TEMPLATE_ROOT, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    pages = {
        path.relative_to(TEMPLATE_ROOT / "docs") for path in (TEMPLATE_ROOT / "docs").rglob("*.md")
    }
    built = [
        tmp_path / "site" / (page.parent if page.name == "README.md" else page.with_suffix(""))
        for page in pages
    ]
    assert [page for page in built if not (page / "index.html").is_file()] == []
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert not [part for part in index.split("<") if "src=" in part and "://" in part]


def test_dead_links_and_pages_without_a_way_to_them_are_errors(tmp_path: Path) -> None:
    shutil.copy(TEMPLATE_ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(TEMPLATE_ROOT / "docs", tmp_path / "docs")
    (tmp_path / "docs" / "alone.md").write_text("# Alone\n")
    with (tmp_path / "docs" / "speed.md").open("a") as page:
        page.write("\n[one](nowhere.md) [two](vscode.md#no-such-heading)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    for fault in ("alone.md", "'nowhere.md'", "#no-such-heading"):
        assert fault in done.stderr
