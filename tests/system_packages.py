"""Install the programs that the tests need and pip does not bring, or say how to.

Run by `make test`. On Debian and Ubuntu, as root, they are installed; anybody else is told the
command, and the tests that need a missing one are skipped (see needs.py).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# program -> Debian package
PROGRAMS = {
    "git": "git",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "openssl": "openssl",
    "ps": "procps",
    "cc": "gcc",  # a security key without hardware
    "sshfs": "sshfs",  # a disk that takes no sockets
    "rsync": "rsync",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "cp": "coreutils",
    "dot": "graphviz",
    "chromium": "chromium",
    "tmux": "tmux",
    "nologin": "login",
    "false": "coreutils",
    "git-shell": "git",
    "busybox": "busybox",  # the tools of machines that have little else
    # networks that lose packets
    "ip": "iproute2",
    "iptables": "iptables",
    "google-authenticator": "libpam-google-authenticator",  # a second factor
    # a cluster
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
    "scontrol": "slurm-wlm",
    "munged": "munge",
    # login shells that people have on the remote machine
    "sh": "dash",
    "bash": "bash",
    "zsh": "zsh",
    "fish": "fish",
    "tcsh": "tcsh",
    "csh": "csh",
    "ksh": "ksh",
    "mksh": "mksh",
    "rbash": "bash",
    "yash": "yash",
    "rc": "rc",
    "elvish": "elvish",
    # the dev container
    "buildah": "buildah",
    "debootstrap": "debootstrap",
}
# what is no program -> Debian package
FILES = {
    "lib/security/pam_slurm_adopt.so": "libpam-slurm-adopt",  # who has a job on a node gets in
    "lib/*/security/pam_google_authenticator.so": "libpam-google-authenticator",  # a second factor
}
# sbin is often not on the PATH of an ordinary user.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def missing_packages() -> list[str]:
    """Return the Debian packages of what this computer does not have."""
    programs = {
        package
        for program, package in PROGRAMS.items()
        if shutil.which(program, path=SEARCH_PATH) is None
    }
    files = {package for pattern, package in FILES.items() if not any(Path("/").glob(pattern))}
    return sorted(programs | files)


def main() -> int:
    """Install what is missing, or name it; return 0, as the tests run without it, too."""
    packages = missing_packages()
    if not packages:
        return 0
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print("Some tests are skipped, as programs are missing. To run them, on Debian and Ubuntu:")
        print(f"  sudo {' '.join(install)}")
        return 0
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=environment)
    subprocess.run([*install, "-qq"], check=True, env=environment, stdout=subprocess.DEVNULL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
