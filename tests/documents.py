"""Small documents of every kind, made by hand."""

import io
import struct
import zipfile

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_SECTOR = 512
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def zipped(**parts):
    """Return an archive; ``__`` in a part's name stands for a slash."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(f"{name.replace('__', '/')}.xml", content)
    return data.getvalue()


def docx(*paragraphs):
    body = "".join(f"<w:p><w:r><w:t>{each}</w:t></w:r></w:p>" for each in paragraphs)
    return zipped(word__document=f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>')


def pptx(*slides):
    """Return a presentation whose slides are stored in the wrong order."""
    parts = {
        f"ppt__slides__slide{number}": f'<p xmlns="{_A}"><r><t>{text}</t></r></p>'
        for number, text in reversed(list(enumerate(slides, 1)))
    }
    return zipped(ppt__presentation="<p/>", **parts)


def pdf(*pages, encrypted=False):
    """Return a PDF with one line of text on each page."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, text in enumerate(pages):
        content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        page = "/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>"
        objects += [
            f"<</Type/Page/Parent 2 0 R{page}/Contents {5 + 2 * number} 0 R>>",
            f"<</Length {len(content)}>>stream\n{content}\nendstream",
        ]
    return _pdf_of(objects, encrypted=encrypted)


def _pdf_of(objects, *, encrypted):
    written, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(written))
        written += f"{number} 0 obj{each}endobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    locked = f"/Encrypt<</Filter/Standard/V 1/R 2/P -4/O({'o' * 32})/U({'u' * 32})>>"
    trailer = f"<</Size {len(places) + 1}/Root 1 0 R/ID[(i)(i)]{locked if encrypted else ''}>>"
    head = f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n"
    return written + f"{head}{table}trailer{trailer}\nstartxref\n{len(written)}\n%%EOF".encode()


def doc(text, *, encrypted=False):
    """Return a Word 97 document: the first half of the text in one byte a letter, then in two."""
    half = len(text) // 2
    one, two = text[:half].encode("cp1252"), text[half:].encode("utf-16-le")
    start = 0x800
    stream = bytearray(start) + one + two
    struct.pack_into("<HH", stream, 0, 0xA5EC, 0x00C1)
    struct.pack_into("<H", stream, 0x0A, 0x0200 | (0x0100 if encrypted else 0))
    struct.pack_into("<i", stream, 0x4C, len(text))
    borders = struct.pack("<iii", 0, half, len(text))
    places = [start * 2 | 1 << 30, start + len(one)]
    pieces = borders + b"".join(struct.pack("<HiH", 0, place, 0) for place in places)
    table = b"\x02" + struct.pack("<i", len(pieces)) + pieces
    struct.pack_into("<ii", stream, 0x01A2, 0, len(table))
    return ole({"WordDocument": bytes(stream), "1Table": table})


def ole(streams):
    """Return an OLE file whose streams are large enough to lie in sectors of their own."""
    sectors, entries = [], []
    for name, content in streams.items():
        padded = content.ljust(4096, b"\0")
        padded += b"\0" * (-len(padded) % _SECTOR)
        entries.append(_entry(name, 2, len(sectors), max(len(content), 4096)))
        sectors.append([padded[at : at + _SECTOR] for at in range(0, len(padded), _SECTOR)])
        sectors[-1:] = sectors[-1]
    starts = len(sectors)
    entries.insert(0, _entry("Root Entry", 5, _END, 0, child=1))
    entries[1] = entries[1][:72] + struct.pack("<I", 2) + entries[1][76:]
    listed = b"".join(entries).ljust(_SECTOR, b"\0")
    chain = _chains(streams)
    fat = struct.pack("<128I", *chain, _END, _FAT, *[_FREE] * (128 - len(chain) - 2))
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    head += struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<IIIIIIIII", 0, 1, starts, 0, 4096, _END, 0, _END, 0)
    head += struct.pack("<109I", starts + 1, *[_FREE] * 108)
    return head + b"".join(sectors) + listed + fat


def _chains(streams):
    chain = []
    for content in streams.values():
        count = -(-max(len(content), 4096) // _SECTOR)
        chain += [*range(len(chain) + 1, len(chain) + count), _END]
    return chain


def _entry(name, kind, start, size, child=_FREE):
    encoded = (name + "\0").encode("utf-16-le")
    entry = encoded.ljust(64, b"\0") + struct.pack("<HBB", len(encoded), kind, 1)
    entry += struct.pack("<III", _FREE, _FREE, child) + bytes(36)
    return entry + struct.pack("<IQ", start, size)
