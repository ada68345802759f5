"""Which package has a module that a lab could not import."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ..ui.text import without_colours

__all__ = ["missing_package"]

_MISSING = re.compile(r"ModuleNotFoundError: No module named '([A-Za-z_]\w{0,60})(?:\.[.\w]*)?'")
# Modules whose package has another name, as the Python package index has them.
_PACKAGES = {
    "Bio": "biopython",
    "Crypto": "pycryptodome",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "pymupdf",
    "git": "gitpython",
    "jose": "python-jose",
    "magic": "python-magic",
    "mpl_toolkits": "matplotlib",
    "osgeo": "gdal",
    "pkg_resources": "setuptools",
    "pytorch_lightning": "pytorch-lightning",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
    "usb": "pyusb",
    "yaml": "pyyaml",
}


def missing_package(lines: Iterable[str], root: Path) -> str | None:
    """Return the package to add for what a lab printed when it failed; None if that is not why.

    A module of the project itself is no package.
    """
    found = [module for line in lines if (module := _MISSING.search(without_colours(line)))]
    if not found:
        return None
    name = found[-1][1]
    for folder in (root, root / "src", root / "labs"):
        if (folder / name).is_dir() or (folder / f"{name}.py").is_file():
            return None
    return _PACKAGES.get(name, name.replace("_", "-"))
