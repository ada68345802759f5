"""New labs: `lab new`, and its templates."""
