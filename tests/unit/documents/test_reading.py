"""Documents of every kind become text; what can't be read says why, alone."""

import zipfile
from io import BytesIO

import pytest

import documents
from freehold.documents import formats, reader
from freehold.documents.chunking import Chunking
from freehold.documents.errors import UnreadableError

AUTO = Chunking(800, 400)
MOST = 5_000_000


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def text_of(path):
    return formats.read(path, formats.check(path.name))


def reason(path):
    with pytest.raises(UnreadableError) as caught:
        text_of(path)
    return caught.value


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "Grüße aus Köln"),
        ("a.py", "print('Grüße aus Köln')"),
        ("a.MD", "# Grüße aus Köln"),
        ("a.tex", "\\section{Grüße aus Köln}"),
        ("a.json", '{"a": "Grüße aus Köln"}'),
        ("a.docx", documents.docx("Grüße aus Köln")),
        ("a.pptx", documents.pptx("Grüße aus Köln")),
        ("a.doc", documents.doc("Grüße aus Köln")),
        ("a.pdf", documents.pdf("Gr\\374\\337e aus K\\366ln")),
        ("a.html", "<p>Gr&uuml;&szlig;e aus <b>K&ouml;ln</b></p>"),
    ],
)
def test_text_is_read_out_of_every_kind_of_file(write, name, content):
    found = text_of(write(name, content))
    assert "aus Köln" in found
    if name != "a.pdf":  # whose font has another idea of letters above 127
        assert "Grüße" in found


def test_every_type_of_the_table_is_supported():
    table = "c cpp cs css doc docx go html java js json md pdf php pptx py rb sh tex ts txt"
    assert formats.supported() == tuple(table.split())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252"])
def test_encodings_are_detected(write, encoding):
    told = "Über den Wolken muß die Freiheit wohl grenzenlos sein, hört man täglich. " * 5
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    assert text_of(write("a.txt", (mark + told).encode(encoding))).lstrip("\ufeff") == told


def test_charset_that_a_page_declares_counts(write):
    page = '<html><head><meta charset="iso-8859-7"></head><body>Καλημέρα</body></html>'
    assert text_of(write("a.html", page.encode("iso-8859-7"))) == "Καλημέρα"


def test_html_shows_what_a_reader_sees(write):
    page = """<title>Shop</title><script>alert(1)</script><style>p{}</style>
    <h1>Hours</h1><p>Open
      daily</p><ul><li>Mon<li>Tue</ul><table><tr><td>a</td><td>b</td></tr></table>"""
    found = text_of(write("a.html", page))
    assert [line for line in found.split("\n") if line] == [
        "Shop",
        "Hours",
        "Open daily",
        "Mon",
        "Tue",
        "\ta\tb",
    ]


def test_slides_come_in_their_order(write):
    found = text_of(write("a.pptx", documents.pptx(*(f"slide {n}" for n in range(1, 12)))))
    assert [int(line.split()[1]) for line in found.split("\n") if line] == list(range(1, 12))


def test_instructions_of_fields_are_no_text(write):
    field = "See \x13 HYPERLINK http://x \x14the manual\x15 first.\r"
    assert text_of(write("a.doc", documents.doc(field))) == "See the manual first."


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.pdf", documents.pdf("secret", encrypted=True), "encrypted"),
        ("a.pdf", b"%PDF-1.4 and no more", "damaged"),
        ("a.pdf", documents.pdf(" "), "no text"),
        ("a.docx", documents.ole({"EncryptedPackage": b"x"}), "encrypted"),
        ("a.docx", b"PK\x03\x04 broken", "damaged"),
        ("a.docx", documents.zipped(other="<a/>"), "damaged"),
        ("a.docx", documents.zipped(word__document="<a"), "damaged"),
        ("a.doc", documents.doc("secret", encrypted=True), "encrypted"),
        ("a.doc", b"plain text", "damaged"),
        ("a.txt", bytes(range(256)) * 4, "not text"),
    ],
)
def test_unreadable_file_says_why(write, name, content, told):
    error = reason(write(name, content))
    assert error.code == "invalid_file"
    assert told in error.message


@pytest.mark.parametrize("name", ["a.exe", "a.csv", "noending"])
def test_other_types_are_unsupported(write, name):
    error = reason(write(name, "text"))
    assert error.code == "unsupported_file"
    assert "Supported are: c, cpp" in error.message


def test_entities_that_would_grow_are_refused(write):
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>'
    assert "format" in reason(write("a.docx", documents.zipped(word__document=bomb))).message


def test_archive_that_would_fill_the_memory_is_refused(write):
    data = BytesIO()
    with (
        zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("word/document.xml", "w", force_zip64=True) as part,
    ):
        for _ in range(300):
            part.write(bytes(1 << 20))
    assert "too large" in reason(write("a.docx", data.getvalue())).message


def spoiled(content, place, new):
    """Return bytes of which some are others; a negative place counts from the archive's list."""
    at = content.index(b"PK\x01\x02") - place if place < 0 else place
    return content[:at] + new + content[at + len(new) :]


@pytest.mark.parametrize(
    ("place", "new"), [(47, b"\xff" * 8), (-6, b"\x99"), (-42, b"\xf0\xff\xff\xff"), (-47, b"\xab")]
)
def test_archive_that_is_damaged_anywhere_is_told_from_a_parser_that_broke(write, place, new):
    name = "a.docx"
    content = spoiled(documents.docx("Some words, and some more words."), place, new)
    assert "damaged" in reason(write(name, content)).message


@pytest.mark.parametrize("charset", ["undefined", "punycode", "zip", "no-such"])
def test_page_that_declares_nonsense_is_read_all_the_same(write, charset):
    page = f'<meta charset="{charset}"><p>Καλημέρα</p>'
    assert text_of(write("a.html", page)) == "Καλημέρα"


async def test_child_gives_chunks(write):
    path = write("blob", "One sentence.\n" * 2000)
    chunks = await reader.Reader().chunks(path, "a.txt", AUTO, MOST)
    assert all(chunk.tokens <= 800 for chunk in chunks)
    assert chunks[0].text.startswith("One sentence.")
    assert chunks[1].start < len(chunks[0].text)


async def test_child_reports_what_it_could_not_read(write):
    path = write("blob", " \n ")
    with pytest.raises(UnreadableError, match="empty"):
        await reader.Reader().chunks(path, "a.txt", AUTO, MOST)


async def test_greedy_file_ends_its_child_and_no_more(write, monkeypatch):
    monkeypatch.setattr(reader, "_CHILD", "freehold.documents.no_such_module")
    with pytest.raises(UnreadableError, match="broke the program"):
        await reader.Reader().chunks(write("blob", "x"), "a.txt", AUTO, MOST)


async def test_file_that_takes_too_long_is_given_up(write, monkeypatch):
    monkeypatch.setattr(reader, "_TIMEOUT_S", 0.001)
    with pytest.raises(UnreadableError, match="too long"):
        await reader.Reader().chunks(write("blob", "x"), "a.txt", AUTO, MOST)


async def test_child_has_little_memory(write):
    path = write("blob", b"word " * 120_000_000)
    with pytest.raises(UnreadableError, match=r"memory|more than"):
        await reader.Reader().chunks(path, "a.txt", AUTO, MOST)
    path.unlink()
