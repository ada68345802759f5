"""The command to paste on the machine: it prints the address to log in to."""

from __future__ import annotations

__all__ = ["ADDRESS_COMMAND"]

ADDRESS_COMMAND = (
    "whoami; hostname -I; grep -rih '^port' /etc/ssh/sshd_config*; "
    "cat /etc/ssh/ssh_host_*.pub | ssh-keygen -lf -"
)
"""For any shell, and short enough to type: prints the person's name there, the machine's addresses,
the port if its SSH server has another than 22, and the fingerprints of its host keys."""
