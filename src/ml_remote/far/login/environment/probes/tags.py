"""Print which wheels this Python takes: its version, and its platform tags, the best first."""

import json
import os
import platform


def main() -> None:
    """Print a line of JSON: `python` and `platforms`."""
    print(json.dumps({"python": platform.python_version(), "platforms": _platforms()}))


def _platforms() -> list[str]:
    try:
        from pip._vendor.packaging import tags
    except ImportError:
        return _of_glibc()
    return list(tags.platform_tags())


def _of_glibc() -> list[str]:
    """Return the tags where there is no pip, as on Debian without python3-pip."""
    machine = platform.machine()
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (AttributeError, OSError, ValueError):
        return []
    if name != "glibc":
        return []
    newest = int(version.split(".")[1])
    found = [f"manylinux_2_{number}_{machine}" for number in range(newest, 16, -1)]
    return [*found, f"manylinux2014_{machine}", f"linux_{machine}"]


if __name__ == "__main__":
    main()
