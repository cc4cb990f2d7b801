"""Pictures that tests draw, as the bytes of a file."""

import base64
import io
import struct
import zlib

from PIL import Image


def drawn(*colours, size=(64, 48), format="png", mode="RGB", **options):  # noqa: A002 - Pillow's word
    """Return a picture of vertical stripes, one of each colour."""
    picture = Image.new(mode, size, colours[0])
    for place, colour in enumerate(colours[1:], 1):
        left = size[0] * place // len(colours)
        picture.paste(colour, (left, 0, *size))
    return encoded(picture, format, **options)


def encoded(picture, format="png", **options):  # noqa: A002 - Pillow's word
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def animated(format="gif"):  # noqa: A002 - Pillow's word
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, format, save_all=True, append_images=frames[1:])
    return file.getvalue()


def bomb(width=10_000, height=10_000):
    """Return a whole and valid PNG of a few kilobytes with 100 million pixels."""
    rows = zlib.compressobj(9)
    row = b"\0" + bytes(-(-width // 8))
    data = b"".join([*(rows.compress(row) for _ in range(height)), rows.flush()])
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def data_url(data, kind="png"):
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def part(url, **fields):
    return {"type": "image_url", "image_url": {"url": url, **fields}}


def shown(*parts):
    """Return a conversation of one user message with these parts; strings are text."""
    content = [{"type": "text", "text": p} if isinstance(p, str) else p for p in parts]
    return [{"role": "user", "content": content}]


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9"/></svg>'
