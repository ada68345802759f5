"""VS Code and its kin on the folder on the machine: `lab code`."""
