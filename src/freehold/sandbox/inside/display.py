"""Shows values: as pictures where they are pictures, else as text."""

import io
import sys
from collections.abc import Callable
from typing import Any, Final

_MOST_FIGURES: Final = 20


def _nowhere(_png: bytes) -> None:
    raise RuntimeError("Nobody looks at pictures yet.")


# Takes each picture (PNG); the kernel sets it.
send: Callable[[bytes], None] = _nowhere


def show(*values: Any) -> None:
    """Show each value, as ``display`` of a notebook does."""
    for value in values:
        png = _png(value)
        if png is None:
            print(repr(value))  # noqa: T201 - the answer
        else:
            send(png)


def figures() -> None:
    """Show the figures that matplotlib still holds, and let them go."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in pyplot.get_fignums()[:_MOST_FIGURES]:
        figure = pyplot.figure(number)
        if figure.axes or figure.texts or figure.images:
            send(_drawn(figure))
    pyplot.close("all")


def _png(value: Any) -> bytes | None:
    """Return the value as a picture, if it is one."""
    if isinstance(value, type):
        return None
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and hasattr(value, "savefig"):
        drawn = _drawn(value)
        pyplot.close(value)
        return drawn
    if (method := getattr(value, "_repr_png_", None)) is None:
        return None
    data = method()
    return data if isinstance(data, bytes) else None


def _drawn(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    return buffer.getvalue()
