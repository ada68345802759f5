"""All input and output: console, progress, errors, help, completion."""
