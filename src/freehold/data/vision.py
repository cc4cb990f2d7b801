"""What a picture costs in tokens: the arithmetic of the vision guide."""

from typing import Literal

from freehold.data import limits

Detail = Literal["auto", "low", "high"]

# What a picture is taken for before its size is known.
_GUESSED_SIDE = 1024


def tokens(width: int, height: int, detail: Detail) -> int:
    """Return the tokens of a picture of this size. "auto" is "low" where nothing would be lost."""
    low = _figure("low_tokens")
    if detail == "low" or (detail == "auto" and max(width, height) <= _figure("low_side")):
        return low
    side = _figure("tile_side")
    wide, high = fitted(width, height, "high")
    return low + _figure("tile_tokens") * -(-wide // side) * -(-high // side)


def guess(detail: Detail) -> int:
    """Return about how many tokens a picture takes that nobody has looked at yet."""
    return tokens(_GUESSED_SIDE, _GUESSED_SIDE, detail)


def fitted(width: int, height: int, detail: Detail) -> tuple[int, int]:
    """Return the size in which a picture is looked at: it is made smaller, never larger.

    "high" and "auto" fit it into the square, then its shortest side. Whole numbers only, so that no
    rounding of a fraction makes one tile more.
    """
    long, short = max(width, height), min(width, height)
    most = ((_figure("longest_side"), long), (_figure("shortest_side"), short))
    scales = ((1, 1), *(((_figure("low_side"), long),) if detail == "low" else most))
    over, under = min(scales, key=lambda scale: scale[0] / scale[1])
    return max(1, width * over // under), max(1, height * over // under)


def _figure(name: str) -> int:
    return limits.figure("vision", name)
