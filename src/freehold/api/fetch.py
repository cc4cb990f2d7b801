"""Fetches what callers name by URL, and never from where they must not reach.

A name is resolved once; the address that was checked is the one that is connected to, so a second
answer of the name server changes nothing. Redirects are followed by hand and checked again.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal

import httpx

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Fault = Literal["url", "address", "redirects", "status", "encoding", "too_large", "time", "broken"]

_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PORTS: Final = {"http": 80, "https": 443}
# IPv6 addresses that carry an IPv4 address in their last four bytes.
_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")
# Tells an Azure machine's secrets, though the address is a public one.
_METADATA: Final = ipaddress.IPv4Address("168.63.129.16")
_MOST_PORTS: Final = 65_535
_TRIES: Final = 3
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "freehold"}


class FetchError(Exception):
    """Nothing was fetched; ``fault`` says why in one word, ``status`` is the other server's."""

    def __init__(self, fault: Fault, status: int | None = None) -> None:
        super().__init__(fault)
        self.fault: Fault = fault
        self.status = status


def is_public(address: str) -> bool:
    """Return whether an IP address is one that the whole internet reaches.

    Addresses that wrap another one (IPv4-mapped, NAT64, 6to4, Teredo) are judged by that too.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return all(map(_is_public, _wrapped(found)))


def anywhere(address: str) -> bool:  # noqa: ARG001 - the other answer to the same question
    """Return True: an operator may let pictures come from every address."""
    return True


def _wrapped(address: _IPAddress) -> Sequence[_IPAddress]:
    """Return the address and those inside it; an IPv4-mapped one is only what it maps."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    if address in _TRANSLATED:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    inside = (address.sixtofour, *(address.teredo or ()))
    return (address, *(other for other in inside if other is not None))


def _is_public(address: _IPAddress) -> bool:
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        return not address.is_site_local
    return address != _METADATA


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host, the system's preferred one first."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class PinnedTransport(httpx.AsyncBaseTransport):
    """Connects to the address that was checked; Host and the TLS name stay those of the URL."""

    def __init__(
        self,
        *,
        allowed: Callable[[str], bool],
        resolve: Resolve = resolve,
        inner: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request without body. Raises ``FetchError`` for an address that is not allowed."""
        host, port = request.url.host, request.url.port or _PORTS[request.url.scheme]
        fault: httpx.TransportError | None = None
        for address in (await self._addresses(host, port))[:_TRIES]:
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,  # Host among them, made from the URL that was asked for
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return await self._transport().handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                fault = error
        raise fault or FetchError("address")

    async def aclose(self) -> None:
        if self._inner:
            await self._inner.aclose()

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        """Return where to connect; one address that is not allowed spoils all."""
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):
            raise FetchError("address") from None
        if not all(map(self._allowed, addresses)):
            raise FetchError("address")
        return addresses

    def _transport(self) -> httpx.AsyncBaseTransport:
        """Return what connects. No connection is kept: another name may lie at the address."""
        if self._inner is None:
            limits = httpx.Limits(max_keepalive_connections=0)
            self._inner = httpx.AsyncHTTPTransport(limits=limits, trust_env=False)
        return self._inner


class Fetcher:
    """Fetches for everybody, ``at_once`` at a time; each fetch within ``timeout_s`` in all."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport, *, timeout_s: float, at_once: int, redirects: int
    ) -> None:
        self._transport = transport
        self._timeout_s = timeout_s
        self._redirects = redirects
        self._turns = asyncio.Semaphore(at_once)

    async def get(self, url: str, cap: int) -> bytes:
        """Return the body behind a URL, of at most ``cap`` bytes. Raises ``FetchError``."""
        async with self._turns:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._follow(_checked(url), cap)
            except (TimeoutError, httpx.TimeoutException):
                raise FetchError("time") from None
            except (httpx.HTTPError, httpx.InvalidURL):
                raise FetchError("broken") from None

    async def close(self) -> None:
        await self._transport.aclose()

    async def _follow(self, url: httpx.URL, cap: int) -> bytes:
        for _ in range(self._redirects + 1):
            async with self._answer(url) as response:
                if response.status_code not in _REDIRECTS:
                    return await _body(response, cap)
                url = _checked(str(url.join(response.headers.get("location", ""))))
        raise FetchError("redirects")

    @asynccontextmanager
    async def _answer(self, url: httpx.URL) -> AsyncGenerator[httpx.Response, None]:
        timeout = httpx.Timeout(self._timeout_s).as_dict()
        request = httpx.Request("GET", url, headers=_HEADERS, extensions={"timeout": timeout})
        response = await self._transport.handle_async_request(request)
        response.request = request
        try:
            yield response
        finally:
            await response.aclose()


def _checked(text: str) -> httpx.URL:
    """Return the URL. Raises ``FetchError`` for other schemes, and where it carries a password."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise FetchError("url") from None
    if url.scheme not in _PORTS or not url.host or url.userinfo or (url.port or 1) > _MOST_PORTS:
        raise FetchError("url")
    return url


async def _body(response: httpx.Response, cap: int) -> bytes:
    if response.status_code != 200:
        raise FetchError("status", response.status_code)
    if _encoding(response.headers) != "identity":
        raise FetchError("encoding")  # asked for plainly: whatever comes packed may be a bomb
    declared = response.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > cap:
        raise FetchError("too_large")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > cap:
            raise FetchError("too_large")
    return bytes(body)


def _encoding(headers: Mapping[str, str]) -> str:
    return headers.get("content-encoding", "identity").strip().lower() or "identity"
