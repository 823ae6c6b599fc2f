"""Where a server listens: what `--listen` says, and the sockets it means."""

import errno
import ipaddress
import os
import socket
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final, Self

from service.profiles import Profile

_FORM: Final = "expected [HOST:]PORT[=PROFILE]"
_MOST_PORT: Final = 65535
_BACKLOG: Final = 2048


class ListenFailed(Exception):
    """A server cannot listen where it should; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Listen:
    """One place to listen at.

    Attributes:
        port: 0 takes a free one; None stands for the setting `port`.
        host: name or address; None stands for the setting `host`, "" for all addresses of the machine.
        profile: whose clients are served there; None: those of all dialects.
    """

    port: int | None
    host: str | None = None
    profile: Profile | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `[HOST:]PORT[=PROFILE]` or `=PROFILE`; an IPv6 address stands in brackets.

        Raises:
            ValueError: it is not of that form, and what is wrong.
        """
        place, has_profile, profile = text.strip().partition("=")
        if has_profile and not place.strip():
            return cls(None, None, _profile(profile.strip()))
        host, has_host, port = place.strip().rpartition(":")
        if not (port.isascii() and port.isdigit() and int(port) <= _MOST_PORT):
            raise ValueError(f"{_FORM} with a port of 0..{_MOST_PORT}, got {text!r:.80}")
        return cls(
            int(port),
            _host(host, text) if has_host else None,
            _profile(profile.strip()) if has_profile else None,
        )

    def __str__(self) -> str:
        host = "*" if self.host == "" else self.host or "127.0.0.1"
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listener:
    """A place a server has opened.

    Attributes:
        listen: with its host, and the port it got.
        sockets: one for each address of the host; they take connections already, which wait to be served.
    """

    listen: Listen
    sockets: tuple[socket.socket, ...]

    def close(self) -> None:
        for opened in self.sockets:
            opened.close()


def open_listeners(places: Sequence[Listen]) -> list[Listener]:
    """Listen at all of these, or at none.

    Args:
        places: each with its host and port.

    Raises:
        ListenFailed: a name is not known, an address is not this machine's, or a port is taken.
    """
    with ExitStack() as undo:
        opened = []
        for place in places:
            listener = _open(place)
            undo.callback(listener.close)
            opened.append(listener)
        undo.pop_all()
        return opened


def _open(place: Listen) -> Listener:
    try:
        found = socket.getaddrinfo(
            place.host or None, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE, proto=socket.IPPROTO_TCP
        )
    except OSError as error:
        raise ListenFailed(f"cannot listen at {place}: {error.strerror or error}") from None
    sockets: list[socket.socket] = []
    problem: OSError | None = None
    port = place.port or 0
    with ExitStack() as undo:
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            try:
                # All addresses of one host get one port, also where it is chosen for us.
                opened = _bind(socket.AddressFamily(family), (str(address[0]), port, *address[2:]))
            except OSError as error:
                if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:  # e.g. ::1 where IPv6 is off
                    problem = problem or error
                    continue
                raise ListenFailed(_explain(place, error)) from None
            undo.callback(opened.close)
            sockets.append(opened)
            port = int(opened.getsockname()[1])
        if not sockets:
            raise ListenFailed(_explain(place, problem or OSError(errno.EADDRNOTAVAIL, "no address")))
        undo.pop_all()
    return Listener(replace(place, port=port), tuple(sockets))


def _bind(family: socket.AddressFamily, address: tuple[str | int, ...]) -> socket.socket:
    """A socket that listens: two that are only bound to one port do not notice each other."""
    # The protocol by name: event loops take Nagle's algorithm off only where they are sure that it is TCP. With it an
    # answer in two writes, and an event after an answer, would wait 40 ms for the other side's acknowledgement.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if os.name == "posix":  # elsewhere it lets two servers share a port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
        opened.listen(_BACKLOG)
        opened.setblocking(False)
    except BaseException:
        opened.close()
        raise
    return opened


def _explain(place: Listen, error: OSError) -> str:
    reasons = {
        errno.EADDRINUSE: "something listens there already",
        errno.EADDRNOTAVAIL: "this machine has no such address",
        errno.EACCES: "this user may not take that port",
    }
    return f"cannot listen at {place}: {reasons.get(error.errno or 0, error.strerror or str(error))}"


def _host(host: str, text: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise ValueError(f"{_FORM}; {host:.60} is no IPv6 address, in {text!r:.80}") from None
    if ":" in host:
        raise ValueError(f"{_FORM}; an IPv6 address stands in brackets: [::1]:8080, got {text!r:.80}")
    if not host:
        raise ValueError(f"{_FORM}; the host is missing before the colon, in {text!r:.80}")
    return host


def _profile(name: str) -> Profile:
    try:
        return Profile(name)
    except ValueError:
        raise ValueError(f"{_FORM}; there is no profile {name!r:.40}, only {_names(Profile)}") from None


def _names(profiles: Iterable[Profile]) -> str:
    return ", ".join(profile.value for profile in profiles)
