"""Building and running the dev container where there is no Docker engine: with buildah.

Its `chroot` isolation needs root and nothing else. The base image comes from a registry that not
every machine can reach, so Debian's debootstrap makes a stand-in for it, under its own name.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from baking import TEMPLATE_ROOT
from filelock import FileLock
from needs import need_program

__all__ = [
    "STORAGE",
    "Container",
    "build_image",
    "copy_of_the_cache",
    "make_base_image",
    "remove_image",
    "start_container",
]

BUILD = TEMPLATE_ROOT / "build"
STORAGE = BUILD / "containers"
BUILDAH = [
    "buildah",
    f"--root={STORAGE / 'root'}",
    f"--runroot={STORAGE / 'run'}",
    "--storage-driver=vfs",
]
# What this machine knows of package indexes and certificates holds inside as well.
CERTIFICATES = Path("/etc/ssl/certs")
SHARED = [CERTIFICATES, Path("/etc/pip.conf"), Path("/etc/uv")]
DOWNLOADS = ("archive", "sdists", "simple", "wheels")
"""What of uv's cache is fetched; the rest is made from it, and is half of its files."""
# The base image has this user, who may do everything, and more programs than the stand-in.
MAKE_USER = (
    "useradd --create-home --uid 1000 --shell /bin/bash vscode"
    " && echo 'vscode ALL=(root) NOPASSWD:ALL' >/etc/sudoers.d/vscode"
)


@dataclass(frozen=True)
class Container:
    """A container in which commands can be run.

    `volumes` are folders of this machine by the place where they are mounted.
    """

    name: str
    user: str
    folder: str
    volumes: dict[str, Path]
    environment: dict[str, str]

    def run(self, *command: str) -> str:
        """Run a command in the container and return what it printed."""
        options = [f"--volume={host}:{inside}" for inside, host in self.volumes.items()]
        options += [f"--env={name}={value}" for name, value in self.environment.items()]
        return _buildah(
            *("run", "--isolation=chroot", f"--user={self.user}", f"--workingdir={self.folder}"),
            *(*_shared(), *options, self.name, "--", *command),
        )

    def remove(self) -> None:
        """Remove the container; its volumes stay."""
        _buildah("rm", self.name)


def make_base_image(name: str, *, suite: str) -> None:
    """Make a stand-in for the base image `name`, unless there is one, from Debian's `suite`."""
    STORAGE.mkdir(parents=True, exist_ok=True)
    with FileLock(BUILD / "containers.lock"):
        if _succeeds("inspect", "--type=image", name):
            return
        container = _buildah("from", "scratch").strip()
        root = _buildah("mount", container).strip()
        packages = "--include=ca-certificates,sudo"
        _run("debootstrap", "--variant=minbase", packages, suite, root)
        _buildah("run", "--isolation=chroot", container, "--", "sh", "-c", MAKE_USER)
        _buildah("umount", container)
        _buildah("commit", "--quiet", "--rm", container, name)


def build_image(dockerfile: Path, *, context: Path, name: str) -> None:
    """Build an image from `dockerfile`; nothing is fetched from a registry."""
    _buildah(
        *("bud", "--isolation=chroot", "--pull=never", *_shared()),
        *(f"--tag={name}", f"--file={dockerfile}", str(context)),
    )


def start_container(image: str) -> str:
    """Make a container from an image and return its name."""
    return _buildah("from", "--pull=never", f"localhost/{image}").strip()


def remove_image(name: str) -> None:
    """Remove an image and what only it needs."""
    _buildah("rmi", f"localhost/{name}")


def copy_of_the_cache(destination: Path, *, owner: int) -> None:
    """Give a container's user this machine's downloads, without storing them twice.

    Files are linked: they can be read, and replaced, but not written to. Folders are the user's.
    """
    cache = Path(os.environ["UV_CACHE_DIR"])
    if found := [str(path) for part in DOWNLOADS for path in cache.glob(f"{part}-v*")]:
        link = ["--link"] if cache.stat().st_dev == destination.stat().st_dev else []
        (destination / "uv").mkdir()
        _run("cp", "--archive", *link, *found, f"{destination}/uv")
    # uv writes to its own marks (.lock, .git...) when it begins, so these are not linked but new.
    for mark in (*destination.glob("uv/*"), *destination.glob("uv/*/.*")):
        if mark.is_file():
            mark.unlink()
    for folder, _, _ in os.walk(destination):
        os.chown(folder, owner, owner)


def _shared() -> list[str]:
    return [f"--volume={path}:{path}:ro" for path in SHARED if path.exists()]


def _buildah(*arguments: str) -> str:
    return _run(*BUILDAH, *arguments)


def _succeeds(*arguments: str) -> bool:
    return subprocess.run([*BUILDAH, *arguments], capture_output=True).returncode == 0


def _run(*command: str) -> str:
    """Run a program and return what it printed; its errors appear in the assertion."""
    done = subprocess.run(
        [need_program(command[0]), *command[1:]],
        env={**os.environ, "TMPDIR": str(STORAGE)},  # layers are large, and /tmp may be small
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout
