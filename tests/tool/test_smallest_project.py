"""`lab` in a repository that has nothing but a `lab.toml`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from openssh_server import Account
from tool_helpers import run_tool

from ml_remote.ssh.client import Client

LAB = "# %%\nprint(6 * 7)\n"


@pytest.mark.slow
def test_lab_toml_is_enough(tmp_path: Path, machine: Client, account: Account) -> None:
    root = tmp_path / "small"
    (root / "labs").mkdir(parents=True)
    (root / "labs" / "answer.py").write_text(LAB)
    (root / "lab.toml").write_text(f'[remote]\nalias = "{machine.alias}"\nfolder = "small"\n')
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "Begin"]):
        subprocess.run(["git", *words], cwd=root, check=True)

    def lab(*words: str, code: int = 0) -> str:
        done = run_tool(root / "labs", *words, LAB_EDITOR="true")
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    assert lab("status").endswith("Next: lab up\n")
    assert "Pushed" in lab("push")
    assert (account.home / "small" / "labs" / "answer.py").read_text() == LAB
    assert "list the packages in requirements.txt" in lab("status")  # no environment yet
    assert "open labs/answer.py and press Run All Cells" in lab("code")
    assert 'small"' in (root / f"{machine.alias}.code-workspace").read_text()
    assert "No lab has been run" in lab("runs")
    assert "requirements.txt" in lab("setup", code=1)
    assert "Next: Make it: lab setup" in lab("run", "answer", code=1)
    lab("pull")
    assert "there is no .venv" in lab("doctor", "--copy", code=1)
