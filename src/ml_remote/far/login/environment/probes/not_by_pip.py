"""Print what is installed here by something else than pip and uv, as constraints of pip."""

from importlib.metadata import distributions


def main() -> None:
    """Print a line for each: its name and version."""
    for found in distributions():
        installer = (found.read_text("INSTALLER") or "").strip()
        name = found.metadata["Name"]
        if name and installer not in ("pip", "uv"):
            print(f"{name}=={found.version}")


if __name__ == "__main__":
    main()
