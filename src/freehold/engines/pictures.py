"""What a picture's head says: its format and size, found without decoding a pixel."""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import error as StructError  # noqa: N812 - a class, whatever its name's case
from struct import unpack_from
from typing import Literal

Format = Literal["png", "jpeg", "webp", "gif"]

_PNG = b"\x89PNG\r\n\x1a\n"
_GIF = (b"GIF87a", b"GIF89a")
_JPEG = b"\xff\xd8\xff"
# Markers that begin a frame; C4, C8 and CC lie in their range and mean something else.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_JPEG_SCAN, _JPEG_END = 0xDA, b"\xff\xd9"
_GIF_IMAGE, _GIF_EXTENSION, _GIF_END = 0x2C, 0x21, 0x3B
_WEBP_ANIMATED = 0x02


class PictureError(ValueError):
    """The data is no picture that can be taken."""


class UnknownFormatError(PictureError):
    """The data is of none of the four formats."""


class AnimatedError(PictureError):
    """The picture has several frames."""


class DamagedError(PictureError):
    """The picture is cut off or contradicts itself."""


@dataclass(frozen=True, slots=True)
class Head:
    """A picture's format, and the largest size that a decoder may make of it."""

    format: Format
    width: int
    height: int


def read_head(data: bytes) -> Head:
    """Return what a whole file says of itself. Raises ``PictureError``.

    The bytes decide; a name or a media type is not asked.
    """
    try:
        head = _read(data)
    except (StructError, IndexError):
        raise DamagedError from None
    if head.width < 1 or head.height < 1:
        raise DamagedError
    return head


def _read(data: bytes) -> Head:
    if data.startswith(_PNG):
        return _png(data)
    if data.startswith(_JPEG):
        return _jpeg(data)
    if data.startswith(_GIF):
        return _gif(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    raise UnknownFormatError


def _png(data: bytes) -> Head:
    length, kind, width, height = unpack_from(">I4sII", data, 8)
    if kind != b"IHDR" or length != 13:
        raise DamagedError
    kinds = set(_png_chunks(data))
    if not {b"IDAT", b"IEND"} <= kinds:
        raise DamagedError
    return Head("png", width, height)


def _png_chunks(data: bytes) -> Iterator[bytes]:
    """Yield the kind of each chunk that is there whole, up to the end."""
    at = len(_PNG)
    while at < len(data):
        length, kind = unpack_from(">I4s", data, at)
        at += length + 12
        if at > len(data):
            return
        yield kind
        if kind == b"IEND":
            return


def _jpeg(data: bytes) -> Head:
    head: Head | None = None
    at = 2
    while True:
        at, marker = _jpeg_marker(data, at)
        if marker in _JPEG_ALONE:
            continue
        (length,) = unpack_from(">H", data, at)
        if marker in _JPEG_FRAMES:
            if head is not None:
                raise DamagedError
            height, width = unpack_from(">HH", data, at + 3)
            head = Head("jpeg", width, height)
        at += length
        if marker == _JPEG_SCAN:
            break
    if head is None or data.rfind(_JPEG_END, at) < 0:
        raise DamagedError
    return head


def _jpeg_marker(data: bytes, at: int) -> tuple[int, int]:
    """Return the next marker and where its segment begins."""
    if data[at] != 0xFF:
        raise DamagedError
    while data[at] == 0xFF:
        at += 1
    return at + 1, data[at]


def _gif(data: bytes) -> Head:
    width, height = unpack_from("<HH", data, 6)
    at = 13 + _gif_colours(data[10])
    frames = 0
    while at < len(data) and data[at] != _GIF_END:
        if data[at] == _GIF_EXTENSION:
            at = _gif_after_blocks(data, at + 2)
        elif data[at] == _GIF_IMAGE:
            left, top, wide, high, flags = unpack_from("<HHHHB", data, at + 1)
            # Decoders make room for a frame that reaches beyond the screen.
            width, height = max(width, left + wide), max(height, top + high)
            at = _gif_after_blocks(data, at + 11 + _gif_colours(flags))
            frames += 1
        else:
            raise DamagedError
    if frames > 1:
        raise AnimatedError
    if not frames:
        raise DamagedError
    return Head("gif", width, height)


def _gif_colours(flags: int) -> int:
    """Return how many bytes the colour table takes that the flags announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _gif_after_blocks(data: bytes, at: int) -> int:
    while length := data[at]:
        at += length + 1
    return at + 1


def _webp(data: bytes) -> Head:
    (size,) = unpack_from("<I", data, 4)
    if size + 8 > len(data):
        raise DamagedError
    kind = data[12:16]
    if kind == b"VP8X":
        if data[20] & _WEBP_ANIMATED:
            raise AnimatedError
        return Head("webp", _three_bytes(data, 24) + 1, _three_bytes(data, 27) + 1)
    if kind == b"VP8L":
        (bits,) = unpack_from("<I", data, 21)
        return Head("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = unpack_from("<HH", data, 26)
        return Head("webp", width & 0x3FFF, height & 0x3FFF)
    raise DamagedError


def _three_bytes(data: bytes, at: int) -> int:
    low, high = unpack_from("<HB", data, at)
    return low | high << 16
