import asyncio
import os
import signal
import socket

import httpx
import pytest

from freehold.cli import listener
from freehold.cli.listener import Listener, ListenError


class Application:
    """Answers at once, or when it is told to stop."""

    def __init__(self):
        self.stopped = asyncio.Event()
        self.held = asyncio.Event()

    async def stop(self):
        self.stopped.set()

    async def __call__(self, scope, _receive, send):
        status = 200
        if scope["path"] == "/hold":
            self.held.set()
            await self.stopped.wait()
            status = 503
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"said"})


@pytest.fixture
async def running():
    app, listening = Application(), asyncio.Event()
    sock = listener.bind("127.0.0.1", 0)
    server = Listener(app, grace_s=0.2, on_listening=listening.set, stop=app.stop)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    await listening.wait()
    yield app, f"http://127.0.0.1:{sock.getsockname()[1]}", task
    server.should_exit = True
    await task


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_server_normally_and_stops_the_application(running, number):
    app, url, task = running
    async with httpx.AsyncClient() as client:
        assert (await client.get(url)).text == "said"
    os.kill(os.getpid(), number)
    await task
    assert app.stopped.is_set()


async def test_a_request_that_outlives_the_grace_says_how_it_ended(running):
    app, url, task = running
    async with httpx.AsyncClient() as client:
        request = asyncio.create_task(client.get(f"{url}/hold"))
        await app.held.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        answer = await request
    await task
    assert (answer.status_code, answer.text) == (503, "said")


async def test_a_taken_port_is_one_clear_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"Port {port} .*Address already in use.*--port"):
            listener.bind("127.0.0.1", port)


def test_an_unknown_host_is_one_clear_line():
    with pytest.raises(ListenError, match=r"host\.invalid"):
        listener.bind("host.invalid", 0)
