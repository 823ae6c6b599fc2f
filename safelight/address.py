"""Where a server is: one address, read once, for HTTP and for the WebSocket."""

import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

DEFAULT_URL: Final = "http://127.0.0.1:8765"
_SOCKET_SCHEMES: Final = {"http": "ws", "https": "wss"}


@dataclass(frozen=True, slots=True)
class Address:
    """The root of a server's API.

    Attributes:
        http: such as `http://127.0.0.1:8765`, or with a path if a proxy puts it under one; no slash at the end.
    """

    http: str

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read what a user typed; `localhost:8765` means http.

        Raises:
            ValueError: it is no http(s) address.
        """
        text = url.strip()
        if "://" not in text:
            text = f"http://{text}"
        try:
            parts = urlsplit(text)
            is_right = parts.scheme in _SOCKET_SCHEMES and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port that is none
            is_right = False
        if not is_right or parts.query or parts.fragment:
            raise ValueError(f"url: expected something like {DEFAULT_URL}, got {url!r:.80}")
        return cls(text.rstrip("/"))

    @property
    def socket(self) -> str:
        """Where the WebSocket is."""
        scheme, rest = self.http.split("://", 1)
        return f"{_SOCKET_SCHEMES[scheme]}://{rest}/v1/ws"

    @property
    def is_loopback(self) -> bool:
        """Whether this is our own machine; then no proxy is used, whatever the environment says."""
        host = urlsplit(self.http).hostname or ""
        if host == "localhost" or host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False
