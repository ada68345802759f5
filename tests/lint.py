"""`make lint`: ruff, the type checker and shellcheck, on the template and on a baked project."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from baking import TEMPLATE_ROOT, bake_project

CACHES = TEMPLATE_ROOT / "build" / "cache"


def main() -> int:
    """Run every check; return 1 when one of them finds something."""
    with tempfile.TemporaryDirectory() as folder:
        project = bake_project(Path(folder) / "project", home=Path(folder) / "home").path
        for path in Path("tests/labs/library").glob("*.py"):
            shutil.copy(path, project / "tests")
        ruff_cache, mypy_cache = f"--cache-dir={CACHES}/ruff", f"--cache-dir={CACHES}/mypy-project"
        python = [sys.executable, "-m"]
        own_code = [name for name in ("src", "hooks", "tests", "benchmarks") if Path(name).is_dir()]
        shell = [path for root in ("src", "tests", project) for path in Path(root).rglob("*.sh")]
        scripts = [".ci/run", *map(str, shell)]
        checks: list[tuple[list[str], Path]] = [
            ([*python, "ruff", "check", "--quiet", *own_code], TEMPLATE_ROOT),
            ([*python, "ruff", "format", "--quiet", "--diff", *own_code], TEMPLATE_ROOT),
            ([*python, "mypy", *own_code], TEMPLATE_ROOT),
            ([*python, "mypy", "benchmarks/environment.py"], TEMPLATE_ROOT),
            ([*python, "ruff", "check", "--quiet", ruff_cache], project),
            ([*python, "ruff", "format", "--quiet", "--diff", ruff_cache], project),
            ([*python, "mypy", mypy_cache], project),
            (["shellcheck", *scripts], TEMPLATE_ROOT),
        ]
        failed = [command for command, place in checks if not _passes(command, place)]
    for command in failed:
        print(f"failed: {' '.join(command)}", file=sys.stderr)
    return 1 if failed else 0


def _passes(command: list[str], place: Path) -> bool:
    print(f"{' '.join(command[2:] if command[1] == '-m' else command[:1])}", flush=True)
    return subprocess.run(command, cwd=place).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
