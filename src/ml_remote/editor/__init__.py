"""VS Code and related editors on the project's folder on the machine: `lab code`."""
