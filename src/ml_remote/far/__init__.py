"""What runs on the machine. It imports nothing from the rest of the tool."""
