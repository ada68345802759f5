"""Colormaps of one's own, from a few colours."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgba
from matplotlib.typing import ColorType
from numpy.typing import NDArray

from .runs import LabError

__all__ = ["ColorError", "check_lightness", "define_colormap", "lightness"]

RGBA = tuple[float, float, float, float]

# Red, green, blue and perhaps alpha, one or two digits each, without the # that matplotlib wants.
BARE_HEX = re.compile(r"[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8}", re.IGNORECASE)
NOTICEABLE = 1.0  # about the smallest difference in lightness that the eye sees

_registered: set[str] = set()  # names that are ours, so that they may be given anew


class ColorError(LabError, ValueError):
    """Something that no colormap can be made of; the message names it."""


def define_colormap(
    colors: Iterable[ColorType], name: str = "custom", n: int = 256, *, register: bool = False
) -> LinearSegmentedColormap:
    """Return a smooth colormap that runs through `colors`, evenly spaced.

    Args:
        colors: two or more. Hexadecimal, with or without `#`, with or without alpha, or anything
            else that is a colour to matplotlib: a name, a tuple of numbers from 0 to 1...
        name: what the colormap is called.
        n: how many steps it has; at least as many as there are colours.
        register: make it, and its reverse as `name`_r, known by name to matplotlib and seaborn.

    Raises:
        ColorError: one of `colors` is no colour, there are fewer than two, `n` is too small, or the
            name is to be registered and belongs to a colormap made elsewhere.
    """
    if isinstance(colors, str) or not isinstance(colors, Iterable):
        raise ColorError(f"colors is {colors!r}; give a list of two or more colours.")
    rgba = [_to_rgba(color, number) for number, color in enumerate(colors, start=1)]
    if len(rgba) < 2:
        raise ColorError(f"colors holds {len(rgba)} of the two or more that a colormap needs.")
    if not isinstance(n, int | np.integer) or n < len(rgba):
        raise ColorError(
            f"n is {n!r}; give a whole number, at least {len(rgba)} for {len(rgba)} colours."
        )
    colormap = LinearSegmentedColormap.from_list(name, rgba, N=int(n))
    if register:
        _register(colormap, colormap.reversed())
    return colormap


def lightness(colormap: Colormap) -> NDArray[np.float64]:
    """Return how light each step of `colormap` is on paper, from 0 (black) to 100; shape (n,).

    Source: L* of CIE 1976, of the luminance that IEC 61966-2-1 defines for sRGB.
    """
    rgba = colormap(np.arange(colormap.N))  # (n, 4)
    alpha = rgba[:, 3:]
    srgb = rgba[:, :3] * alpha + (1 - alpha)  # (n, 3)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]  # (n,)
    dark = luminance * (29 / 3) ** 3
    return np.where(luminance > (6 / 29) ** 3, 116 * np.cbrt(luminance) - 16, dark)


def check_lightness(colormap: Colormap) -> bool:
    """Tell whether `colormap` only gets lighter, or only darker; warn if it does both.

    Such a map shows edges where the data has none, and two far values look alike in print without
    colours, and to some eyes. It suits only data with a middle that both sides lead away from.
    """
    levels = lightness(colormap)
    if levels[-1] < levels[0]:
        levels = levels[::-1]
    falls = np.maximum.accumulate(levels) - levels
    worst = int(falls.argmax())
    if falls[worst] <= NOTICEABLE:
        return True
    peak = levels[:worst].max()
    warnings.warn(
        f"The lightness of the colormap {colormap.name!r} is not monotonic: it rises to {peak:.0f} "
        f"and falls back to {levels[worst]:.0f}. Order the colours from light to dark, unless the "
        "data has a middle.",
        stacklevel=2,
    )
    return False


def _to_rgba(color: ColorType, number: int) -> RGBA:
    """Return a colour as red, green, blue and alpha from 0 to 1, or raise ColorError."""
    # Before matplotlib, to which 000001 is a grey level like "0.5": the number 1, white.
    bare = isinstance(color, str) and BARE_HEX.fullmatch(color)
    try:
        rgba = to_rgba(f"#{color}" if bare else color)
    except (TypeError, ValueError):
        rgba = (np.nan,) * 4
    if not np.isfinite(rgba).all():
        raise ColorError(
            f"Colour number {number}, {color!r}, is none. Give hexadecimal digits (#1b9e77, "
            "1b9e77, #1b9e7780 with alpha), a name that matplotlib knows (teal), or three or four "
            "numbers from 0 to 1."
        )
    return rgba


def _register(*colormaps: Colormap) -> None:
    """Make colormaps known by their names; those that others registered are left alone."""
    for colormap in colormaps:
        if colormap.name in mpl.colormaps and colormap.name not in _registered:
            raise ColorError(
                f"There is a colormap {colormap.name!r} already. Choose a name of your own."
            )
    for colormap in colormaps:
        if colormap.name in mpl.colormaps:
            mpl.colormaps.unregister(colormap.name)
        mpl.colormaps.register(colormap)
        _registered.add(colormap.name)
