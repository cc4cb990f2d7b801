import asyncio
import contextlib
from itertools import repeat

import httptools
import load
import pytest

TEXT = b'data: {"choices":[{"delta":{"content":" word"},"finish_reason":null}]}\n\n'
ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
LAST = b'data: {"choices":[{"delta":{},"finish_reason":"length"}]}\n\n'
END = b"data: [DONE]\n\n"
WHOLE = b'{"choices":[{"message":{"content":" word"},"finish_reason":"length"}]}'


def answer(body, status=b"200 OK", more=b""):
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), more, body)


def chunked(*reads):
    """Return the head and one chunk per item; each is sent on its own."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return [head, *(b"%x\r\n%b\r\n" % (len(data), data) for data in reads), b"0\r\n\r\n"]


class Server(asyncio.Protocol):
    """Answers each request with the given pieces, a moment before each."""

    def __init__(self, pieces, *, closes):
        self.pieces, self.closes = pieces, closes

    def connection_made(self, transport):
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_message_complete(self):
        self.writing = asyncio.ensure_future(self.write())

    async def write(self):
        for piece in self.pieces:
            await asyncio.sleep(0.005)
            self.transport.write(piece)
        if self.closes:
            self.transport.close()


@contextlib.asynccontextmanager
async def server(pieces, *, closes=False):
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Server(pieces, closes=closes), "127.0.0.1", 0)
    async with listening:
        yield load.Target(listening.sockets[0].getsockname()[1])


async def ask(pieces, *, stream=True, count=1, closes=False):
    shape = load.Load(1, 4, stream=stream)
    async with server(pieces, closes=closes) as target:
        return await load.in_a_row(target, shape, repeat("Hello"), count)


async def test_the_first_event_that_carries_text_ends_the_wait_for_it():
    [found] = await ask(chunked(ROLE, TEXT, TEXT, LAST + END))
    assert 0.008 < found.first < found.seconds


async def test_texts_that_arrive_at_once_have_no_gap_between_them():
    [found] = await ask(chunked(ROLE + TEXT, TEXT + TEXT, LAST + END))
    assert len(found.gaps) == 2
    assert found.gaps[0] > 0.003
    assert found.gaps[1] == 0


async def test_an_event_split_over_two_reads_counts_once():
    [found] = await ask(chunked(ROLE + TEXT + TEXT[:40], TEXT[40:] + LAST + END))
    assert len(found.gaps) == 1


async def test_a_whole_answer_has_its_time():
    [found] = await ask([answer(WHOLE)], stream=False)
    assert found.seconds > 0


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([answer(b"{}", b"500 Internal Server Error")], id="status"),
        pytest.param([answer(WHOLE.replace(b"length", b"stop"))], id="stopped early"),
        pytest.param([b"not http at all\r\n\r\n"], id="no HTTP"),
    ],
)
async def test_an_answer_that_is_not_as_asked_is_an_error(pieces):
    with pytest.raises(load.LoadError):
        await ask(pieces, stream=False)


async def test_a_stream_without_its_end_mark_is_an_error():
    with pytest.raises(load.LoadError):
        await ask(chunked(ROLE, TEXT, LAST))


async def test_a_connection_lost_within_an_answer_is_an_error():
    with pytest.raises(load.LoadError):
        await ask(chunked(ROLE, TEXT)[:-1], closes=True)


async def test_a_server_that_closes_after_each_answer_is_asked_on_new_connections():
    assert len(await ask(chunked(ROLE, TEXT, LAST + END), count=3, closes=True)) == 3


async def test_a_server_that_never_answers_a_new_connection_is_an_error():
    with pytest.raises(load.LoadError):
        await ask([], closes=True)


async def test_every_client_asks_at_least_three_times_after_the_warm_up():
    begun = []
    async with server([answer(WHOLE)]) as target:
        shape = load.Load(2, 1, stream=False)
        measured = await load.drive(target, shape, repeat("Hello"), 0, lambda: begun.append(1))
    assert len(measured.answers) == 6
    assert begun == [1]
    assert measured.seconds > 0
