"""JupyterLab for the project, labs opening as notebooks.

The laptop imports this, too; what it takes to serve is imported where that is done.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..quick_imports import skip_iri_grammar
from .kind import Kind

__all__ = ["KIND"]

# What says where a person's own settings and kernels are; every other variable of Jupyter's goes.
_KEPT = (
    "JUPYTER_ALLOW_INSECURE_WRITES",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_PATH",
    "JUPYTER_PLATFORM_DIRS",
)


def serve(directory: Path, idle_seconds: float) -> None:
    """Serve JupyterLab for the project, labs opening as notebooks.

    It ends when no cell has run and no browser was there for `idle_seconds`; 0 means never.
    """
    _forget_other_servers()
    skip_iri_grammar()
    from jupyter_core import paths
    from jupyterlab.labapp import LabApp

    from ...login.kernel_rules import read_rules
    from ..kernels import TRANSPORT, prepare_kernels
    from ..parameters import project_root
    from .lasting_kernels import LeavingKernelManager, LeavingKernelsManager

    # The person's own look of JupyterLab stays; a password, port or certificate that they may have
    # set for their own servers, or a container for its one server, would keep this one from being
    # reached.
    own = Path(paths.jupyter_config_dir()) / "lab"
    paths.SYSTEM_CONFIG_PATH.clear()
    os.environ |= {
        "JUPYTERLAB_SETTINGS_DIR": str(own / "user-settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(directory / "config"),
        "JUPYTER_CONFIG_PATH": str(directory / "config"),  # before that of the environment
    }
    prepare_kernels(directory, lasting=read_rules(project_root()).keep)
    _write_token(directory / "config", (directory / "token").read_text())
    _write_lab_settings(directory / "config" / "labconfig")
    seconds = max(1, round(idle_seconds)) if idle_seconds else 0
    check = min(60, seconds)
    settings = {
        "ServerApp.sock": directory / "socket",
        "ServerApp.root_dir": project_root(),
        "ServerApp.base_url": "/",
        "ServerApp.certfile": "",
        "ServerApp.keyfile": "",
        "ServerApp.client_ca": "",
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "ServerApp.shutdown_no_activity_timeout": seconds,
        "ServerApp.kernel_manager_class": _name(LeavingKernelsManager),
        "MappingKernelManager.kernel_manager_class": _name(LeavingKernelManager),
        "KernelManager.transport": TRANSPORT,
        "MappingKernelManager.cull_idle_timeout": seconds,
        "MappingKernelManager.cull_interval": check,
        "TerminalManager.cull_inactive_timeout": seconds,
        "TerminalManager.cull_interval": check,
    }
    LabApp.launch_instance([f"--{name}={value}" for name, value in settings.items() if value != 0])


def _name(one: type) -> str:
    """Return a class as Jupyter's settings have it."""
    return f"{one.__module__}.{one.__qualname__}"


def _forget_other_servers() -> None:
    """Remove the variables by which a container, or a hub, configures a server of its own."""
    for name in [*os.environ]:
        if name.startswith(("JUPYTER", "JPY_")) and name not in _KEPT:
            del os.environ[name]


def _write_token(folder: Path, token: str) -> None:
    """Write a configuration with the token; it counts more than any other."""
    import json

    folder.mkdir(parents=True)
    settings = {"IdentityProvider": {"token": token}, "ServerApp": {"token": token}}
    (folder / "jupyter_server_config.json").write_text(json.dumps(settings))


def _write_lab_settings(folder: Path) -> None:
    """Make JupyterLab open scripts as notebooks, and hide what no kernel supports."""
    import json

    folder.mkdir(parents=True)
    overrides = {
        "@jupyterlab/docmanager-extension:plugin": {
            "defaultViewers": {"python": "Jupytext Notebook"}
        },
        "@jupyterlab/apputils-extension:notification": {
            "checkForUpdates": False,
            "doNotDisturbMode": False,
            "fetchNews": "false",
        },
    }
    (folder / "default_setting_overrides.json").write_text(json.dumps(overrides))
    page = {"disabledExtensions": {"@jupyterlab/debugger-extension": True}}
    (folder / "page_config.json").write_text(json.dumps(page))


KIND = Kind(
    title="JupyterLab",
    description="""\
    Notebooks and their kernels keep running when the tunnel is closed, the laptop sleeps or the
    network is lost; the same command reconnects. Labs open as notebooks. An unused session ends
    after idle_hours in lab.toml.
    """,
    port=8888,
    start_page="/lab",
    what_next="open a lab: it opens as a notebook.",
    serve=serve,
)
