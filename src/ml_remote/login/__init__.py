"""From an address to a login without a password, and back: `lab connect`, `lab disconnect`."""
