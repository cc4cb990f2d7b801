"""Colours by name, as people group them."""

from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Final

Pixel = tuple[int, int, int]

_EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "black": ("000000", "1c1c1c"),
    "white": ("ffffff", "f2f2f2"),
    "grey": ("404040", "808080", "c0c0c0", "708090"),
    "red": ("ff0000", "c81e1e", "8b0000", "ff5050"),
    "orange": ("ffa500", "ff7800"),
    "yellow": ("ffff00", "e6d232", "fff08c"),
    "green": ("008000", "00ff00", "327832", "90ee90", "556b2f", "9acd32"),
    "turquoise": ("00ffff", "40e0d0", "008080"),
    "blue": ("0000ff", "00008b", "4682dc", "87ceeb", "6495ed"),
    "purple": ("800080", "a03cc8", "4b0082", "b19cd9"),
    "pink": ("ffc0cb", "ff69b4", "ff00ff"),
    "brown": ("8b4513", "654321", "a0522d"),
    "beige": ("f5f5dc", "d2b48c"),
}


def shares(pixels: Iterable[Pixel]) -> Counter[str]:
    """Return how many of the pixels have each name."""
    found: Counter[str] = Counter()
    for pixel in pixels:
        found[name(pixel)] += 1
    return found


@cache
def name(pixel: Pixel) -> str:
    """Return the name of a colour: that of the example which looks most like it."""
    lightness, red_green, blue_yellow = _perceived(pixel)
    return min(
        _anchors(),
        key=lambda anchor: (
            (anchor[0] - lightness) ** 2
            + (anchor[1] - red_green) ** 2
            + (anchor[2] - blue_yellow) ** 2
        ),
    )[3]


@cache
def _anchors() -> tuple[tuple[float, float, float, str], ...]:
    return tuple(
        (*_perceived((red, green, blue)), label)
        for label, examples in _EXAMPLES.items()
        for red, green, blue in map(bytes.fromhex, examples)
    )


def _perceived(pixel: Pixel) -> tuple[float, float, float]:
    """Return a colour in OKLab, in which distances are those that eyes see."""
    red, green, blue = (_linear(value / 255) for value in pixel)
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    middle = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
