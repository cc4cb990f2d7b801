"""The program that decodes one picture, so that a decoder's fault or greed ends it and no more.

The picture comes on standard input. The first argument is the task: "facts" answers with JSON (or
``null`` where the pixels can't be decoded), with a score where a further argument names the
classifier's file; "png" with the picture as a PNG no larger than the two further arguments say.
"""

import importlib
import importlib.util
import io
import json
import os
import resource
import struct
import sys
import zlib
from typing import Any

from PIL import Image, ImageOps

from freehold.engines import colours

_MEMORY, _CPU_S = 1 << 30, 10
# For more than looking at pixels: reading text, scoring.
_MORE_MEMORY, _MORE_CPU_S = 4 << 30, 60
_READER = "rapidocr"  # of the extra `ocr`
_SCORER = "freehold.engines.backends.opennsfw"
_SIDE_TO_READ = 2048
_SIDE = 64
_OPAQUE = 128
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
# What Pillow's decoders raise.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)


def main() -> None:
    task, *more = sys.argv[1:]
    reads = task == "facts" and importlib.util.find_spec(_READER) is not None
    much = reads or (task == "facts" and more)
    memory, cpu_s = (_MORE_MEMORY, _MORE_CPU_S) if much else (_MEMORY, _CPU_S)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what others print is no answer
    Image.MAX_IMAGE_PIXELS = None  # the parent has checked the size, and memory is bounded here
    data = sys.stdin.buffer.read()
    if task == "png":
        answer.write(_png(data, (int(more[0]), int(more[1]))))
    else:
        answer.write(_facts(data, reads=reads, scorer=more[0] if more else None))
    answer.flush()
    os._exit(0)


def _facts(data: bytes, *, reads: bool, scorer: str | None) -> bytes:
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            facts: Any = {"colours": _colours(picture)}
        if scorer:
            facts["sexual"] = _score(data, scorer)
    except _DAMAGED:
        return b"null"
    if reads:
        facts["text"] = _text(_png(data, (_SIDE_TO_READ, _SIDE_TO_READ)))
    return json.dumps(facts).encode()


def _score(data: bytes, scorer: str) -> float:
    """Return how likely a picture is sexual."""
    with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
        whole = _opaque(_in_eight_bits(ImageOps.exif_transpose(picture)))
    return importlib.import_module(_SCORER).score(whole, scorer)


def _text(png: bytes) -> str:
    """Return the lines of text that stand in a picture, as far as they can be read."""
    reader: Any = importlib.import_module(_READER).RapidOCR()
    return " ".join(reader(png).txts or ())


def _colours(picture: Image.Image) -> dict[str, float]:
    """Return each colour's share. Single pixels are looked at, so that none is a mixture."""
    picture.draft("RGB", (_SIDE, _SIDE))
    size = (min(picture.width, _SIDE), min(picture.height, _SIDE))
    sample = _in_eight_bits(picture.resize(size, Image.Resampling.NEAREST)).convert("RGBA")
    values = iter(sample.tobytes())
    pixels = list(zip(values, values, values, values, strict=True))
    found = colours.shares((red, green, blue) for red, green, blue, a in pixels if a >= _OPAQUE)
    found["transparent"] = sum(pixel[3] < _OPAQUE for pixel in pixels)
    return {name: count / len(pixels) for name, count in found.most_common() if count}


def _in_eight_bits(picture: Image.Image) -> Image.Image:
    """Return a picture of one deep channel with the 8 bits that count."""
    if not picture.mode.startswith("I"):
        return picture
    return picture.convert("I").point(lambda value: value / 256).convert("L")


def _png(data: bytes, size: tuple[int, int]) -> bytes:
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            picture.draft("RGB", size)
            whole = _opaque(_in_eight_bits(ImageOps.exif_transpose(picture)))
            lying = (whole.width >= whole.height) == (size[0] >= size[1])
            whole.thumbnail(size if lying else (size[1], size[0]))
    except _DAMAGED:
        return b""
    made = io.BytesIO()
    whole.save(made, "PNG", compress_level=1)
    return made.getvalue()


def _opaque(picture: Image.Image) -> Image.Image:
    """Return the picture in RGB; what is transparent becomes white."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    with_alpha = picture.convert("RGBA")
    whole = Image.new("RGB", picture.size, "white")
    whole.paste(with_alpha, mask=with_alpha.getchannel("A"))
    return whole


if __name__ == "__main__":
    main()
