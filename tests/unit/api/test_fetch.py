"""Nothing is fetched from where callers must not reach, nor more or longer than allowed."""

import asyncio
import gzip
import ipaddress

import httpx
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from freehold.api import fetch
from freehold.api.fetch import FetchError, PinnedTransport
from hostile import PRIVATE, PUBLIC, fetcher, head, hostile_server, names

CAP = 1000


@pytest_asyncio.fixture
async def hostile():
    async with hostile_server() as server:
        yield server


async def fault_of(url, **options):
    """Return why a fetch fails."""
    found = fetcher(**options)
    with pytest.raises(FetchError) as caught:
        await found.get(url, CAP)
    await found.close()
    return caught.value.fault


async def test_a_page_is_fetched_with_its_own_host_and_no_encoding(hostile):
    url = hostile.page("/a?b=c", b"picture")
    assert await fetcher().get(url, CAP) == b"picture"
    (request,) = hostile.asked
    assert request.startswith(f"{PUBLIC} GET /a?b=c HTTP/1.1")
    assert f"host: pictures.test:{hostile.port}" in request.lower()
    assert "accept-encoding: identity" in request.lower()


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
async def test_redirects_are_followed_three_times_and_no_more(hostile, status):
    hostile.page("/0", b"end")
    for step in range(1, 5):
        hostile.redirect(f"/{step}", f"/{step - 1}", status)
    assert await fetcher().get(hostile.url("/3"), CAP) == b"end"
    assert await fault_of(hostile.url("/4")) == "redirects"


@pytest.mark.parametrize(
    "host",
    [
        PRIVATE,
        "localhost",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "①②⑦.0.0.1",
    ],
)
async def test_a_private_address_is_refused_however_it_is_written(hostile, host):
    hostile.page("/", b"secret")
    fault = await fault_of(hostile.url("/", host), resolve=fetch.resolve)
    assert fault in ("address", "url")
    assert hostile.asked == []


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:{}/", "http://0x7f.1:{}/", "//[::ffff:127.0.0.1]:{}/"]
)
async def test_a_redirect_to_a_private_address_is_refused(hostile, target):
    async def ours_or_systems(host, port):
        return await (names if host.endswith(".test") else fetch.resolve)(host, port)

    url = hostile.redirect("/go", target.format(hostile.port))
    hostile.page("/", b"secret")
    assert await fault_of(url, resolve=ours_or_systems) == "address"
    assert all(request.startswith(PUBLIC) for request in hostile.asked)


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://pictures.test/", "gopher://x/", "data:,x"]
)
async def test_a_redirect_to_another_scheme_is_refused(hostile, target):
    assert await fault_of(hostile.redirect("/go", target)) == "url"


async def test_a_name_whose_answer_changes_is_asked_once_and_pinned(hostile):
    answers = iter([[PUBLIC], [PRIVATE], [PRIVATE]])

    async def rebinding(host, port):
        return next(answers)

    url = hostile.page("/", b"public")
    assert await fetcher(rebinding).get(url, CAP) == b"public"
    assert [request.split()[0] for request in hostile.asked] == [PUBLIC]
    assert await fault_of(url, resolve=rebinding) == "address"


async def test_one_private_address_among_public_ones_spoils_all(hostile):
    async def both(host, port):
        return [PUBLIC, PRIVATE]

    assert await fault_of(hostile.page("/", b"x"), resolve=both) == "address"
    assert hostile.asked == []


async def test_the_next_address_is_tried_where_one_does_not_answer(hostile):
    async def first_is_dead(host, port):
        return ["127.0.0.3", PUBLIC]

    allowed = {"127.0.0.3", PUBLIC}
    transport = PinnedTransport(allowed=lambda address: address in allowed, resolve=first_is_dead)
    found = fetch.Fetcher(transport, timeout_s=5, at_once=1, redirects=0)
    assert await found.get(hostile.page("/", b"here"), CAP) == b"here"


async def test_a_name_without_an_address_is_told_like_a_private_one():
    async def unknown(host, port):
        raise OSError

    async def nothing(host, port):
        return []

    assert await fault_of("http://nowhere.test/", resolve=unknown) == "address"
    assert await fault_of("http://nowhere.test/", resolve=nothing) == "address"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://pictures.test/x",
        "pictures.test/x",
        "//pictures.test/x",
        "http://",
        "http:///x",
        "http://user:word@pictures.test/",
        "http://pictures.test@127.0.0.1/",
        "http://127.0.0.1\t@pictures.test/",
        "http://pictures.test:99999/",
        "http://[::1/",
        "",
        "x" * 70_000,
    ],
)
async def test_a_url_of_another_kind_or_with_a_user_is_refused(url):
    assert await fault_of(url) == "url"


async def test_a_slow_drip_ends_with_the_time_for_all(hostile):
    async def drip(writer):
        writer.write(head("200 OK"))
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    loop = asyncio.get_running_loop()
    started = loop.time()
    assert await fault_of(hostile.on("/", drip), timeout_s=0.3) == "time"
    assert loop.time() - started < 3


async def test_a_server_that_says_nothing_ends_with_the_time(hostile):
    async def silent(writer):
        await asyncio.Event().wait()

    assert await fault_of(hostile.on("/", silent), timeout_s=0.2) == "time"


async def test_an_endless_body_ends_at_the_cap(hostile):
    sent = 0

    async def endless(writer):
        nonlocal sent
        writer.write(head("200 OK"))
        while True:
            writer.write(b"x" * 65_536)
            sent += 65_536
            await writer.drain()

    assert await fault_of(hostile.on("/", endless)) == "too_large"
    assert sent < 64 * 2**20


async def test_a_body_that_is_announced_too_large_is_not_read(hostile):
    async def announces(writer):
        writer.write(head("200 OK", f"Content-Length: {CAP + 1}"))

    assert await fault_of(hostile.on("/", announces)) == "too_large"
    assert len(await fetcher().get(hostile.page("/b", b"x" * CAP), CAP)) == CAP


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity"])
async def test_a_compressed_body_is_refused_unread(hostile, encoding):
    bomb = gzip.compress(bytes(10_000_000))[:CAP]
    assert await fault_of(hostile.page("/", bomb, f"Content-Encoding: {encoding}")) == "encoding"


@pytest.mark.parametrize("status", ["404 x", "500 x", "204 x", "304 x"])
async def test_another_status_is_told(hostile, status):
    found = fetcher()
    with pytest.raises(FetchError) as caught:
        await found.get(hostile.page("/", b"", status=status), CAP)
    assert (caught.value.fault, caught.value.status) == ("status", int(status[:3]))


async def test_a_body_that_is_cut_off_is_no_body(hostile):
    async def cut(writer):
        writer.write(head("200 OK", "Content-Length: 100") + b"half")

    assert await fault_of(hostile.on("/", cut)) == "broken"


async def test_what_is_no_http_is_refused(hostile):
    async def garbage(writer):
        writer.write(b"\x00\x01 hello\r\n\r\n")

    assert await fault_of(hostile.on("/", garbage)) == "broken"


async def test_no_more_fetches_run_at_once_than_allowed(hostile):
    running, most, go = 0, 0, asyncio.Event()

    async def counts(writer):
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            go.set()
        await go.wait()
        writer.write(head("200 OK", "Content-Length: 0"))
        running -= 1

    found = fetcher(at_once=2)
    url = hostile.on("/", counts)
    assert await asyncio.gather(*(found.get(url, CAP) for _ in range(6))) == [b""] * 6
    assert most == 2


async def test_the_environments_proxy_is_not_used(hostile, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await fetcher().get(hostile.page("/", b"direct"), CAP) == b"direct"


async def test_tls_is_spoken_with_the_name_at_the_pinned_address():
    sent = []

    async def body():
        yield b"x"

    def answer(request):
        sent.append(request)
        return httpx.Response(200, content=body())

    transport = PinnedTransport(
        allowed=fetch.anywhere, resolve=names, inner=httpx.MockTransport(answer)
    )
    found = fetch.Fetcher(transport, timeout_s=1, at_once=1, redirects=0)
    assert await found.get("https://pictures.test/a", CAP) == b"x"
    assert str(sent[0].url) == f"https://{PUBLIC}/a"
    assert sent[0].headers["host"] == "pictures.test"
    assert sent[0].extensions["sni_hostname"] == "pictures.test"


PRIVATE_NETWORKS = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/29",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "168.63.129.16/32",
]
SIX = ["::/128", "::1/128", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "64:ff9b:1::/48"]


def inside(network):
    found = ipaddress.ip_network(network)
    first, last = int(found[0]), int(found[-1])
    return st.integers(first, last).map(type(found[0]))


@given(st.one_of(*map(inside, PRIVATE_NETWORKS)))
def test_no_private_address_is_public_nor_one_that_wraps_it(address):
    number = int(address)
    assert not fetch.is_public(str(address))
    for wrapped in (
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
        ipaddress.IPv6Address((0x2002 << 112) | number << 80 | 1),
        ipaddress.IPv6Address(number),
        ipaddress.IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)),
    ):
        assert not fetch.is_public(str(wrapped)), wrapped


@given(st.one_of(*map(inside, SIX)))
def test_no_private_address_of_ipv6_is_public(address):
    assert not fetch.is_public(str(address))
    assert not fetch.is_public(f"{address}%eth0")


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8"]
)
def test_addresses_of_the_internet_are_public(address):
    assert fetch.is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "1.2.3.4:80"])
def test_what_is_no_address_is_not_public(text):
    assert not fetch.is_public(text)


def test_an_operator_may_allow_every_address():
    assert fetch.anywhere("10.0.0.1")
