"""The `lab` command: everything that runs on the laptop to reach and use the remote machine."""
