"""OpenSSH itself: running it, explaining what it says, and the person's configuration of it."""
