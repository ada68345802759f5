"""What a run has written into its own folders is copied, whatever the files are called."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ml_remote.scripts import script

NAMES = [f"{number}{end}" for number in range(9) for end in ("", ".part")]


def test_every_new_file_is_copied(tmp_path: Path) -> None:
    job, folder = tmp_path / "job", tmp_path / "a b"
    for made in (job, folder, folder / "below"):
        made.mkdir()
    names = [*NAMES, "-n", "two\nlines", "below/it's $HOME `x`"]
    for name in ("old", *names):
        (folder / name).write_text(name)
    (job / "started").write_text("1")
    for name in ("old", *NAMES[:1]):
        os.utime(folder / name, (1, 1))
    os.utime(job / "started", (2, 2))
    (folder / "link").symlink_to("/etc/passwd")
    results = tmp_path / "results"
    results.mkdir()
    (job / "folders").write_text(f"{results}\na b\n")
    subprocess.run(
        ["sh", "-c", f"{script('copy-results')}\ncopy_results job"], cwd=tmp_path, check=True
    )
    copied = {
        path.relative_to(results / "a b").as_posix(): path.read_text()
        for path in results.rglob("*")
        if path.is_file()
    }
    assert copied == {name: name for name in names if name != NAMES[0]}
