"""Kernels that outlive the editor's window.

VS Code starts `.venv/bin/python -m ipykernel_launcher --f=FILE` and ends that process with each
window. The hook in the environment runs a proxy in its place, which serves the ports of FILE; the
kernel itself is nobody's descendant, and talks over sockets in a folder that only its owner may
enter (far/login/kernels.py). The next window for the same lab finds it there.

| module | what it has |
|---|---|
| `hook` | the file that setup installs in the environment: runs the proxy, or else a plain kernel |
| `opening` | starts a kernel and serves the editor; hooks of earlier setups import this name |
| `proxy` | one window of the editor |
| `editor_sockets`, `kernel_sockets` | its sockets towards the editor, and towards one kernel |
| `during_cell` | what a window does while another one's cell runs |
| `before_setup` | a window that was opened before the environment is complete |
| `messages` | the wire format: read, checked, signed again |
| `publishing` | output for subscribers, with bounded memory |
| `starting` | starts a kernel: its folder, its variables, two forks |
| `choosing` | which kernel a lab gets: the one that lives, or a fresh one |
| `kernel` | the process that computes |
| `life` | what a kernel knows of its windows; when it ends |
| `cells` | which cell runs, and for which window |
| `output` | what a kernel printed lately |
| `kernel_info` | the first lines in a cell, and `%kernel` |
"""
