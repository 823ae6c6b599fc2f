"""Requests to addresses that somebody else chose: input pictures and models by URL, and webhooks.

    Refused           the request was not made, or came to nothing; its message may be shown to the caller
      Interrupted     nobody answered, or the connection broke: another try may do better
    check_address     whether an address may be connected to
    Outbound          resolves a name once, checks every address, connects to one of those it checked

The name is not resolved a second time for the connection, so an answer that changes in between (DNS rebinding) gains
nothing. TLS still verifies the certificate of the name. No proxy, cookie, credential or redirect is ever
used on its own account.
"""

import asyncio
import functools
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urljoin

if TYPE_CHECKING:
    import httpx

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Takes a host name and a port; gives its addresses, most wanted first. Raises OSError if there are none."""

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_RELAYS: Final = (ipaddress.ip_network("192.88.99.0/24"), ipaddress.ip_network("fec0::/10"))
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_ADDRESSES_TRIED: Final = 4
_CONNECT_TIMEOUT_S: Final = 5.0
_USER_AGENT: Final = "safelight"


class Refused(Exception):
    """The request was not made, or nothing came of it.

    The message says nothing of addresses inside the operator's network: a name that does not exist, one that
    leads to a private address and a port that is closed there all read the same.
    """


class Interrupted(Refused):
    """Nobody answered, or the connection broke. Another try may do better."""


def check_address(text: str) -> bool:
    """Whether `text` is a public unicast address, in every form an IPv4 address can hide in an IPv6 one."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return all(_is_public(each) for each in _embedded(address))


async def resolve_with_system(host: str, port: int) -> Sequence[str]:
    """Ask the operating system, on a thread; a cancelled wait leaves the thread to finish alone."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Outbound:
    """Makes requests to addresses it has checked.

    Args:
        allow_private: do without the check of addresses.
        may_use_port: whether a port may be connected to.
        resolve: names to addresses.
    """

    def __init__(
        self, *, allow_private: bool, may_use_port: Callable[[int], bool], resolve: Resolve = resolve_with_system
    ) -> None:
        self._allow_private = allow_private
        self._may_use_port = may_use_port
        self._resolve = resolve
        self._transport: httpx.AsyncHTTPTransport | None = None

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        timeout_s: float,
    ) -> "AsyncIterator[httpx.Response]":
        """Send one request and give the response with its body still unread (`aiter_raw`).

        Args:
            timeout_s: for each single read or write; cap the whole with `asyncio.timeout`.

        Raises:
            Refused: the URL, its port or one of its addresses is not allowed, or nobody answered in HTTP.
        """
        import httpx  # takes 80 ms, and most servers never fetch anything

        target = read_url(url)
        port = {"http": 80, "https": 443}[target.scheme] if target.port is None else target.port
        if not self._may_use_port(port):
            raise Refused(f"port {port} is not among those allowed")
        addresses = await self._addresses(target.raw_host.decode("ascii"), port)
        sent = {
            "Host": target.netloc.decode("ascii"),
            "User-Agent": _USER_AGENT,
            # A compressed answer could unpack to any size behind the size cap.
            "Accept-Encoding": "identity",
            **(headers or {}),
        }
        extensions = {
            "sni_hostname": target.raw_host.decode("ascii"),
            "timeout": httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S)).as_dict(),
        }
        response = await self._first_answer(
            [
                httpx.Request(method, target.copy_with(host=each), headers=sent, content=content, extensions=extensions)
                for each in addresses
            ]
        )
        try:
            yield response
        except httpx.TransportError as error:
            raise Interrupted(f"the connection broke: {_word(error)}") from None
        finally:
            await response.aclose()

    @asynccontextmanager
    async def get(
        self, url: str, *, headers: Mapping[str, str], timeout_s: float, max_redirects: int
    ) -> "AsyncIterator[httpx.Response]":
        """Like `request`, with GET, and to where it is redirected; each redirect is checked like the first URL.

        The response is none that redirects, and not compressed.

        Raises:
            Refused: as `request`; or too many redirects, or to something that is no URL.
        """
        for _ in range(max_redirects + 1):
            async with self.request("GET", url, headers=headers, timeout_s=timeout_s) as response:
                location = response.headers.get("location")
                if response.status_code not in _REDIRECTS or location is None:
                    if response.headers.get("content-encoding", "identity").lower() != "identity":
                        raise Refused("its server sent a compressed answer, which was not asked for")
                    yield response
                    return
                # Read first, so that a relative reference with odd characters fails as a URL and not later.
                url = str(read_url(_join(url, location)))
        raise Refused(f"more than {max_redirects} redirects")

    async def aclose(self) -> None:
        """Close what is still open. The object can be used again afterwards."""
        if self._transport is not None:
            transport, self._transport = self._transport, None
            await transport.aclose()

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):
            addresses = ()
        # One private address among public ones is refused as a whole: it is either a mistake or an attempt.
        if not addresses or not (self._allow_private or all(map(check_address, addresses))):
            raise Refused("its host has no public address")
        return addresses[:_ADDRESSES_TRIED]

    async def _first_answer(self, requests: "Sequence[httpx.Request]") -> "httpx.Response":
        import httpx

        if self._transport is None:
            # Connections are not kept: the pool knows them by address, and two names may share one.
            self._transport = httpx.AsyncHTTPTransport(
                verify=_tls(), trust_env=False, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0)
            )
        for request in requests[:-1]:
            try:
                return await self._transport.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        try:
            return await self._transport.handle_async_request(requests[-1])
        except httpx.TransportError as error:
            raise Interrupted(f"no answer: {_word(error)}") from None


def read_url(url: str) -> "httpx.URL":
    """Read an absolute http or https URL without credentials.

    Raises:
        Refused: it is something else.
    """
    import httpx

    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        raise Refused("expected an http or https URL") from None
    if target.scheme not in {"http", "https"} or not target.raw_host:
        raise Refused("expected an http or https URL")
    if target.userinfo:
        raise Refused("expected a URL without a user name or password")
    return target


def only(ports: Collection[int]) -> Callable[[int], bool]:
    """A port rule for `Outbound`: these and no other."""
    return frozenset(ports).__contains__


def _join(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise Refused("its server redirects to something that is no URL") from None


def _embedded(address: Address) -> Sequence[Address]:
    """The addresses that packets to `address` may reach: itself, or what it wraps."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF),)
    if address.sixtofour is not None:
        return (address, address.sixtofour)
    return (address,)


def _is_public(address: Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address.version == relay.version and address in relay for relay in _RELAYS)
    )


def _word(error: Exception) -> str:
    """What kind of failure, in words of ours: the text of the error may name an address."""
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return "it took too long"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    return "it did not speak HTTP as it should"


@functools.cache
def _tls() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()
