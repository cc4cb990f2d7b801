"""Looks at a picture's pixels for models that have no eyes: true facts, and nothing made up."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import msgspec

from freehold.data.moderations import PICTURE_WEIGHTS
from freehold.engines.base import EngineLoadError, Image
from freehold.engines.pictures import DamagedError, read_head
from freehold.engines.weights import WeightsStore

_log = logging.getLogger(__name__)
_CHILD: Final = "freehold.engines.viewer_child"
# Nothing else of our environment reaches the child: it may hold keys.
_PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
_TIMEOUT_S: Final = 90.0
_AT_ONCE: Final = 2
_LEAST_SHARE: Final = 0.03
_MOST_COLOURS: Final = 5
_MOST_TEXT: Final = 2000
_SURELY_NOT: Final = 0.2
_SURELY: Final = 0.8


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a picture.

    Colours come with their shares, ``sexual`` is a score from 0 to 1. What is None nobody looked
    for: text is read where the extra `ocr` is installed, scores need their weights.
    """

    format: str
    width: int
    height: int
    colours: dict[str, float] | None = None
    text: str | None = None
    sexual: float | None = None

    def line(self) -> str:
        """Return all of it as one line, which says that there is no more.

        Small models keep to whole sentences; from a list of words they make up a scene.
        """
        facts = [f"A picture: a {self.format.upper()} of {self.width} x {self.height} pixels."]
        if self.colours:
            facts.append(f"Its colours are {_told(self.colours)}.")
        if self.text is not None:
            read = (
                f"The text in it is {_quoted(self.text)}."
                if self.text
                else "No text was found in it."
            )
            facts.append(read)
        if self.sexual is not None:
            facts.append(_judged(self.sexual))
        return f"[{' '.join(facts)} Nothing more is known about it.]"


class _Answer(msgspec.Struct):
    colours: dict[str, float]
    text: str | None = None
    sexual: float | None = None


class Viewer:
    """Decodes pictures in child processes, a few at once, each with little memory and time.

    Scores need ``weights``, and those of the picture classifier among them.
    """

    def __init__(self, weights: WeightsStore | None = None) -> None:
        self._weights = weights
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def require_scores(self) -> Path:
        """Return the picture classifier's file.

        Raises ``EngineLoadError`` naming the command that helps where it is not here.
        """
        if self._weights is None:
            raise EngineLoadError("Pictures can't be scored here: there is no folder of weights.")
        return await asyncio.to_thread(self._weights.path, PICTURE_WEIGHTS)

    async def facts(self, image: Image) -> Facts:
        """Return what can be said of a picture. Raises ``DamagedError`` where it can't be decoded.

        Where decoding takes too much, only what its head says is known.
        """
        known = Facts(image.format, image.width, image.height)
        if (answer := await self._run("facts", image.data, *await self._scorer())) is None:
            return known
        found = msgspec.json.decode(answer, type=_Answer | None)
        if found is None:
            raise DamagedError
        return replace(known, colours=found.colours, text=found.text, sexual=found.sexual)

    async def png(self, image: Image, size: tuple[int, int]) -> Image:
        """Return the picture, upright and made smaller to fit ``size``, as an opaque PNG.

        Raises ``DamagedError`` where that can't be made.
        """
        if not (data := await self._run("png", image.data, *map(str, size))):
            raise DamagedError
        head = read_head(data)
        return replace(image, data=data, format="png", width=head.width, height=head.height)

    async def _scorer(self) -> Sequence[str]:
        """Return the picture classifier's file, nothing where it is not here."""
        try:
            return [str(await self.require_scores())]
        except EngineLoadError:
            return []

    async def _run(self, task: Literal["facts", "png"], data: bytes, *more: str) -> bytes | None:
        """Return what the child says; None where it took too much time or memory."""
        async with self._turns:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                _CHILD,
                task,
                *more,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            )
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    answer, _ = await child.communicate(data)
            except TimeoutError:
                answer = b""
            finally:
                if child.returncode is None:
                    child.kill()
                    await child.wait()
        if child.returncode:
            _log.warning("A picture took too much to decode (status %s).", child.returncode)
            return None
        return answer


def _judged(score: float) -> str:
    """Return a score in words. Its makers call it sure below .2 and above .8."""
    if score < _SURELY_NOT:
        return "It seems safe for work."
    return "It does not seem safe for work." if score > _SURELY else "It may not be safe for work."


def _quoted(text: str) -> str:
    """Return read text in quotes, on one line, and not without end."""
    line = " ".join(text.split())
    cut = line if len(line) <= _MOST_TEXT else f"{line[:_MOST_TEXT]}..."
    return '"{}"'.format(cut.replace('"', "'"))


def _told(colours: dict[str, float]) -> str:
    """Return the colours that take more than a little room, the largest first."""
    ranked = sorted(colours.items(), key=lambda colour: -colour[1])
    large = [colour for colour in ranked if colour[1] >= _LEAST_SHARE] or ranked[:1]
    return ", ".join(f"{name} ({share:.0%})" for name, share in large[:_MOST_COLOURS])
