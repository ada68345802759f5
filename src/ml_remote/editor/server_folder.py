"""Where VS Code's server goes on the machine: a setting of the person's, read on the laptop."""

from __future__ import annotations

import json

__all__ = ["server_setting"]


def server_setting(alias: str, folder: str) -> str:
    """Return the line of VS Code's settings that moves its server there below `folder`.

    The path must be absolute: since version 1.86 no variable in it is put in.
    """
    return f'"remote.SSH.serverInstallPath": {json.dumps({alias: folder}, ensure_ascii=False)}'
