"""A picture's head is read from its bytes; what is cut off or moves is refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from drawn import SVG, animated, bomb, drawn, encoded
from freehold.engines.pictures import (
    AnimatedError,
    DamagedError,
    Head,
    PictureError,
    UnknownFormatError,
    read_head,
)

FORMATS = ["png", "jpeg", "webp", "gif"]
WAYS = [
    ("png", {"mode": "RGBA"}),
    ("png", {"mode": "1"}),
    ("png", {"mode": "I;16"}),
    ("jpeg", {"mode": "L"}),
    ("jpeg", {"mode": "CMYK"}),
    ("jpeg", {"progressive": True}),
    ("jpeg", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}),
    ("webp", {"lossless": True}),
    ("webp", {"lossless": True, "mode": "RGBA"}),
    ("webp", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}),
    ("gif", {"mode": "L"}),
    ("gif", {"comment": b"a comment" * 100}),
]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (640, 480), (300, 7)])
def test_format_and_size_are_found(kind, size):
    assert read_head(drawn(0, format=kind, size=size, mode="L")) == Head(kind, *size)


@pytest.mark.parametrize(("kind", "options"), WAYS)
def test_every_way_to_write_a_format_is_read(kind, options):
    mode = options.pop("mode", "RGB")
    data = encoded(Image.new(mode, (33, 21)), kind, **options)
    assert read_head(data) == Head(kind, 33, 21)


def test_a_size_is_believed_without_decoding_a_pixel():
    data = bomb()
    assert len(data) < 100_000
    assert read_head(data) == Head("png", 10_000, 10_000)


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_what_moves_is_refused(kind):
    with pytest.raises(AnimatedError):
        read_head(animated(kind))


@pytest.mark.parametrize(
    "data", [b"", b"hello", SVG, b"BM" + bytes(60), b"%PDF-1.7", b"II*\0", b"RIFF\0\0\0\0WAVE"]
)
def test_other_formats_are_unknown(data):
    with pytest.raises(UnknownFormatError):
        read_head(data)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_cut_off_anywhere_is_refused(kind):
    data = drawn("red", "white", size=(40, 40), format=kind)
    rest = 1 if kind == "gif" else 0  # a missing last byte harms no GIF: its picture is whole
    for length in range(len(data) - rest):
        with pytest.raises(PictureError):
            read_head(data[:length])


@pytest.mark.parametrize("kind", FORMATS)
@given(st.data())
def test_whatever_is_changed_there_is_a_head_or_a_refusal(kind, data):
    picture = bytearray(drawn("red", "blue", format=kind))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(picture) - 1))
        picture[place] = data.draw(st.integers(0, 255))
    try:
        head = read_head(bytes(picture))
    except PictureError:
        return
    assert head.width > 0
    assert head.height > 0


@pytest.mark.parametrize("start", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a"])
@given(rest=st.binary(max_size=200))
def test_noise_behind_a_magic_number_is_refused_or_read(start, rest):
    try:
        found = read_head(start + rest).width
    except (DamagedError, AnimatedError):
        found = None
    assert found is None or found > 0


def test_a_frame_larger_than_its_screen_counts():
    data = bytearray(drawn(0, size=(8, 8), format="gif", mode="L"))
    place = data.index(b"\x2c")
    data[place + 5 : place + 9] = struct.pack("<HH", 9000, 9001)
    assert read_head(bytes(data)) == Head("gif", 9000, 9001)


def test_a_picture_without_extent_is_refused():
    data = drawn("red")
    with pytest.raises(DamagedError):
        read_head(data[:16] + bytes(4) + data[20:])
