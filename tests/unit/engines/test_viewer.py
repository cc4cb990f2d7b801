"""Facts of pictures are true, and what can't be decoded harms nobody."""

import asyncio
from importlib.util import find_spec

import pytest
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from drawn import bomb, drawn, encoded
from freehold.engines import colours, viewer
from freehold.engines.base import Image
from freehold.engines.pictures import DamagedError, read_head
from freehold.engines.viewer import Facts, Viewer


def image(data):
    head = read_head(data)
    return Image(data, head.format, head.width, head.height)


async def facts(data):
    return await Viewer().facts(image(data))


@pytest.mark.parametrize("kind", ["png", "gif", "webp", "jpeg"])
async def test_format_size_and_colours_are_those_that_were_drawn(kind):
    found = await facts(drawn("red", "white", "blue", "blue", size=(640, 480), format=kind))
    assert (found.format, found.width, found.height) == (kind, 640, 480)
    assert found.colours == pytest.approx({"red": 0.25, "white": 0.25, "blue": 0.5}, abs=0.02)
    assert found.line() == (
        f"[A picture: a {kind.upper()} of 640 x 480 pixels. "
        "Its colours are blue (50%), red (25%), white (25%). Nothing more is known about it.]"
    ).replace("red (25%), white (25%)", _order(found))


def _order(found):
    return ", ".join(f"{name} (25%)" for name in found.colours if name != "blue")


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ("red", "red"),
        ("darkred", "red"),
        ("orange", "orange"),
        ("gold", "yellow"),
        ("green", "green"),
        ("lime", "green"),
        ("teal", "turquoise"),
        ("navy", "blue"),
        ("skyblue", "blue"),
        ("purple", "purple"),
        ("hotpink", "pink"),
        ("saddlebrown", "brown"),
        ("white", "white"),
        ("gray", "grey"),
        ("black", "black"),
    ],
)
async def test_colours_have_the_names_that_people_give_them(colour, name):
    assert (await facts(drawn(colour, size=(5, 5)))).colours == {name: 1.0}


@pytest.mark.parametrize(
    ("mode", "value", "name"),
    [
        ("1", 1, "white"),
        ("L", 128, "grey"),
        ("I;16", 65_535, "white"),
        ("I;16", 32_768, "grey"),
        ("RGBA", (0, 0, 255, 255), "blue"),
        ("RGBA", (0, 0, 255, 0), "transparent"),
        ("LA", (0, 255), "black"),
    ],
)
async def test_every_kind_of_pixel_is_understood(mode, value, name):
    assert (await facts(encoded(Pillow.new(mode, (20, 20), value)))).colours == {name: 1.0}


async def test_a_palette_with_a_transparent_colour_is_understood():
    picture = Pillow.new("P", (10, 10), 0)
    picture.putpalette([0, 128, 0, 255, 0, 0])
    picture.paste(1, (0, 0, 5, 10))
    found = await facts(encoded(picture, "png", transparency=1))
    assert found.colours == {"green": 0.5, "transparent": 0.5}


async def test_pixels_that_can_not_be_decoded_are_damage():
    data = bytearray(drawn("red", "blue", size=(300, 300)))
    place = data.index(b"IDAT") + 4
    data[place : place + 8] = b"no zlib!"
    with pytest.raises(DamagedError):
        await facts(bytes(data))


async def test_decoding_that_takes_too_long_leaves_what_the_head_says(monkeypatch):
    monkeypatch.setattr(viewer, "_TIMEOUT_S", 0.001)
    assert await facts(drawn("red")) == Facts("png", 64, 48)
    assert (await facts(drawn("red"))).line() == (
        "[A picture: a PNG of 64 x 48 pixels. Nothing more is known about it.]"
    )


async def test_decoding_that_takes_too_much_memory_ends_the_child_only():
    data = bomb(60_000, 60_000)
    assert await facts(data) == Facts("png", 60_000, 60_000)


async def test_few_pictures_are_decoded_at_once(monkeypatch):
    running, most = 0, 0
    start = asyncio.create_subprocess_exec

    async def counted(*command, **options):
        nonlocal running, most
        child = await start(*command, **options)
        running += 1
        most = max(most, running)
        wait = child.communicate

        async def communicate(data):
            nonlocal running
            answer = await wait(data)
            running -= 1
            return answer

        child.communicate = communicate
        return child

    monkeypatch.setattr(asyncio, "create_subprocess_exec", counted)
    one = Viewer()
    picture = image(drawn("red"))
    found = await asyncio.gather(*(one.facts(picture) for _ in range(5)))
    assert {tuple(facts.colours) for facts in found} == {("red",)}
    assert most <= 2


async def test_the_child_gets_nothing_of_the_environment_that_may_be_secret(monkeypatch):
    given = {}
    start = asyncio.create_subprocess_exec

    async def noted(*command, **options):
        given.update(options["env"])
        return await start(*command, **options)

    monkeypatch.setenv("SOME_API_KEY", "made-up")
    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    await facts(drawn("red"))
    assert "PATH" in given
    assert "SOME_API_KEY" not in given


async def test_a_webp_becomes_a_png_of_the_same_size():
    made = await Viewer().png(image(drawn("red", "blue", format="webp", lossless=True)), (64, 48))
    assert made.format == "png"
    assert read_head(made.data).width == 64
    assert (await facts(made.data)).colours == {"red": 0.5, "blue": 0.5}


def test_small_shares_are_left_out_and_at_most_five_are_told():
    told = Facts("gif", 1, 1, {"red": 0.96, "blue": 0.02, "green": 0.02}).line()
    assert "Its colours are red (96%)." in told
    many = dict.fromkeys(["red", "blue", "green", "black", "white", "pink", "grey"], 1 / 7)
    assert Facts("gif", 1, 1, many).line().count("14%") == 5


def test_a_colour_between_two_names_has_one_of_them():
    assert colours.name((255, 90, 20)) in ("red", "orange")
    assert sum(colours.shares([(1, 1, 1), (250, 250, 250), (0, 0, 0)]).values()) == 3


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """Return a function that installs a made-up reader: it finds these lines and prints noise."""

    def install(lines):
        (tmp_path / "rapidocr.py").write_text(
            f"class RapidOCR:\n    txts = {lines!r}\n"
            "    def __call__(self, png):\n"
            "        print('noise')\n"
            "        assert png.startswith(b'\\x89PNG')\n"
            "        return self\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return install


async def test_text_is_told_in_quotes_where_a_reader_is_installed(reader):
    reader(("Total:", '99 "EUR"'))
    found = await facts(drawn("white"))
    assert found.text == 'Total: 99 "EUR"'
    assert " The text in it is \"Total: 99 'EUR'\". Nothing more" in found.line()


@pytest.mark.parametrize("lines", [(), None])
async def test_a_reader_that_finds_nothing_is_said_to(reader, lines):
    reader(lines)
    assert " No text was found in it. Nothing more" in (await facts(drawn("white"))).line()


async def test_much_text_is_cut_and_stays_on_one_line():
    line = Facts("png", 1, 1, None, "word\n" * 10_000).line()
    assert len(line) < 2200
    assert "\n" not in line
    assert '..."' in line


@pytest.mark.skipif(find_spec("rapidocr") is None, reason="the extra `ocr` is not installed")
async def test_the_real_reader_reads_what_was_drawn():
    picture = Pillow.new("RGB", (640, 120), "white")
    font = ImageFont.load_default(size=36)
    ImageDraw.Draw(picture).text((20, 40), "Invoice 4711", fill="black", font=font)
    assert "4711" in (await facts(encoded(picture))).text
