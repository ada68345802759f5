"""Install the programs that the tests need and pip does not bring, or say how to.

Run by `make test`. On Debian and Ubuntu, as root, they are installed; anybody else is told the
command.
"""

import os
import shutil
import subprocess
import sys

# program -> Debian package. sshd lies in a directory that is often not on an ordinary user's PATH.
PROGRAMS = {
    "git": "git",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "openssl": "openssl",
    "ps": "procps",
    "rsync": "rsync",
    "setpriv": "util-linux",
    "dot": "graphviz",
    "chromium": "chromium",
    "busybox": "busybox",  # the tools of machines that have little else
    # networks that lose packets
    "ip": "iproute2",
    "iptables": "iptables",
    # login shells that people have on the remote machine
    "zsh": "zsh",
    "fish": "fish",
    "tcsh": "tcsh",
    "csh": "csh",
    # the dev container
    "buildah": "buildah",
    "debootstrap": "debootstrap",
}
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def main() -> int:
    """Return 0 when every program is there (now), 1 when one is missing."""
    packages = [
        package
        for program, package in PROGRAMS.items()
        if shutil.which(program, path=SEARCH_PATH) is None
    ]
    if not packages:
        return 0
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"The tests need more programs. On Debian and Ubuntu: sudo {' '.join(install)}")
        return 1
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=environment)
    subprocess.run([*install, "-qq"], check=True, env=environment, stdout=subprocess.DEVNULL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
