"""A machine with four cards, of which a stand-in for nvidia-smi tells."""

from __future__ import annotations

import uuid
from pathlib import Path

__all__ = [
    "NVIDIA_SMI",
    "Cards",
]


# A stand-in: no registry has nvidia-smi without a driver. It lists these cards, and says that the
# processes in a file are on them.
NVIDIA_SMI = """\
#!/bin/sh
case "$*" in
-L) cat '{folder}/listed' ;;
*--query-gpu=*) sed -n 's/.*UUID: \\([^)]*\\).*/\\1/p' '{folder}/listed' ;;
*--query-compute-apps=*) cat '{folder}/busy' ;;
'-q -x') cat '{folder}/described' ;;
esac
"""


class Cards:
    """Four cards of a stand-in for nvidia-smi, which is the first on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = [f"GPU-{uuid.uuid4()}" for _ in range(4)]
        self.busy("")
        lines = [f"GPU {n}: NVIDIA H200 (UUID: {name})" for n, name in enumerate(self.names)]
        (folder / "listed").write_text("\n".join(lines) + "\n")
        program = folder / "nvidia-smi"
        program.write_text(NVIDIA_SMI.format(folder=folder))
        program.chmod(0o755)

    def busy(self, *names: str) -> None:
        """Put processes on these cards."""
        (self.folder / "busy").write_text("".join(f"{name}, 4711\n" for name in names if name))
