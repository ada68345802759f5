"""New labs: `lab new`, and the texts that it begins from."""
