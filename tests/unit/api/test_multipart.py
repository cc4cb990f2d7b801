"""Multipart forms are taken apart the same way however they arrive."""

import pytest

from freehold.api.client import ClientGone
from freehold.api.multipart import Form
from freehold.core.errors import (
    BadRequestError,
    RequestTooLargeError,
    UnsupportedMediaTypeError,
)

KIND = {b"content-type": b'multipart/form-data; boundary="a b"'}
BODY = (
    b'--a b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    b'--a b\r\ncontent-disposition: form-data; name="file"; filename="x.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\n"
    b"one\r\n--a bit\r\n\r\n--a\r\ntwo\r\n"
    b'--a b\r\nContent-Disposition: form-data; name="empty"\r\n\r\n\r\n'
    b"--a b--\r\nepilogue"
)
PARTS = [
    ("purpose", None, b"batch"),
    ("file", "x.txt", b"one\r\n--a bit\r\n\r\n--a\r\ntwo"),
    ("empty", None, b""),
]


def arriving(*pieces, gone=False):
    """Return what a request of these pieces receives."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    if gone:
        messages.append({"type": "http.disconnect"})
    elif messages:
        messages[-1]["more_body"] = False
    coming = iter(messages)

    async def receive():
        return next(coming)

    return receive


async def parts_of(form):
    return [
        (part.name, part.filename, b"".join([data async for data in part])) async for part in form
    ]


def with_disposition(disposition):
    return b"--a b\r\nContent-Disposition: " + disposition + b"\r\n\r\nx\r\n--a b--\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1000])
async def test_pieces_of_any_size_give_the_same_parts(size):
    pieces = [BODY[start : start + size] for start in range(0, len(BODY), size)]
    form = Form(KIND, arriving(*pieces))
    assert await parts_of(form) == PARTS


async def test_parts_that_nobody_reads_are_passed_over():
    assert [part.name async for part in Form(KIND, arriving(BODY))] == ["purpose", "file", "empty"]


async def test_text_of_a_field():
    texts = [await part.text() async for part in Form(KIND, arriving(BODY))]
    assert texts[0] == "batch"


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        (b'form-data; name="file"; filename="a.txt"', "a.txt"),
        (b"form-data; name=file; filename=a.txt", "a.txt"),
        (b'form-data; name="file"; filename="a%22b%0D%0A.txt"', 'a"b\r\n.txt'),
        (b'form-data; name="file"; filename="100%.txt"', "100%.txt"),
        ('form-data; name="file"; filename="résumé.txt"'.encode(), "résumé.txt"),
        ('form-data; name="file"; filename="é.txt"'.encode("latin-1"), "é.txt"),
        (b"form-data; name=\"file\"; filename*=utf-8''r%C3%A9sum%C3%A9.txt", "résumé.txt"),
        (b'form-data; name="file"; filename=""', ""),
        (b'form-data; name="file"', None),
    ],
)
async def test_filename_is_what_the_client_meant(disposition, filename):
    form = Form(KIND, arriving(with_disposition(disposition)))
    assert [part[1] for part in await parts_of(form)] == [filename]


@pytest.mark.parametrize("kind", [b"", b"application/json", b"multipart/mixed; boundary=a"])
def test_other_bodies_are_no_forms(kind):
    with pytest.raises(UnsupportedMediaTypeError):
        Form({b"content-type": kind}, arriving())


@pytest.mark.parametrize(
    "kind", [b"multipart/form-data", b"multipart/form-data; boundary=" + b"x" * 300]
)
def test_boundary_must_be_one(kind):
    with pytest.raises(BadRequestError, match="boundary"):
        Form({b"content-type": kind}, arriving())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--a b\r\n",
        BODY[:-14],
        with_disposition(b"form-data"),
        b"--a b\r\nContent-Disposition: form-data; name=a\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"--a b\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    ],
)
async def test_broken_form_is_refused(body):
    with pytest.raises(BadRequestError, match="could not parse the multipart form"):
        await parts_of(Form(KIND, arriving(body)))


async def test_client_that_goes_away_is_noticed():
    with pytest.raises(ClientGone):
        await parts_of(Form(KIND, arriving(BODY[:100], gone=True)))


async def test_declared_length_beyond_the_limit_is_refused_at_once():
    form = Form({**KIND, b"content-length": b"10000000"}, arriving())
    with pytest.raises(RequestTooLargeError):
        form.limit(1_000_000)


async def test_length_that_was_not_declared_is_limited_too():
    form = Form(KIND, arriving(BODY[: BODY.index(b"one")], *[b"x" * 100_000] * 100))
    form.limit(1_000_000)
    with pytest.raises(RequestTooLargeError):
        await parts_of(form)


@pytest.mark.parametrize(("text", "message"), [(b"\xff", "UTF-8"), (b"x" * 70_000, "too long")])
async def test_field_must_be_a_short_text(text, message):
    body = b"--a b\r\nContent-Disposition: form-data; name=a\r\n\r\n" + text + b"\r\n--a b--\r\n"
    with pytest.raises(BadRequestError, match=message):
        [await part.text() async for part in Form(KIND, arriving(body))]
