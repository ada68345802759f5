"""Everything that is said and asked: console, progress, errors, help, completion."""
