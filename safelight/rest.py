"""The server's REST surface: calls with the key on them, repeated when the network fails, refusals as exceptions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import httpx
import orjson

from protocol.errors import ErrorCode
from safelight.address import Address
from safelight.backoff import Backoff
from safelight.errors import ConnectionLost, RequestRefused, ServerUnreachable, UnexpectedAnswer
from safelight.transport import PATIENCE_S
from safelight.version import VERSION
from safelight.wire import read_refusal

Body: TypeAlias = Callable[[], AsyncIterator[bytes]]
"""Makes a body to send; called again for each try."""

CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 60.0
"""Longer than any `wait` we ask for, and than the pause between two keep-alives of an event stream."""

_DRAINING: Final = (ErrorCode.DRAINING, ErrorCode.NOT_READY)


class Rest:
    """Calls the server over HTTP.

    Every call made here may be repeated: reads, uploads (a stray one expires) and submits with an idempotency key.

    Args:
        patience_s: how long a call is repeated while the network fails; None for ever. If the server has never
            answered yet, the first failure is told at once.
        transport: how bytes travel, if not over the network.
    """

    def __init__(
        self,
        address: Address,
        api_key: str | None = None,
        *,
        patience_s: float | None = PATIENCE_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._address = address
        self._patience_s = patience_s
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._has_answered = False
        self._http = httpx.AsyncClient(
            headers={"User-Agent": f"safelight/{VERSION}"},
            timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            trust_env=not address.is_loopback,
            transport=transport,
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        value: object = None,
        body: Body | None = None,
        also: frozenset[int] = frozenset(),
    ) -> Any:
        """Call, and read the answer's JSON.

        Args:
            value: sent as JSON; or `body`, sent as it is.
            also: error statuses whose answer is wanted like any other.

        Raises:
            RequestRefused, ServerUnreachable, ConnectionLost, UnexpectedAnswer.
        """
        backoff = Backoff(self._patience_s)
        headers = {"Accept": "application/json", **(headers or {})}
        if value is not None:
            headers["Content-Type"] = "application/json"
        while True:
            content = body() if body is not None else None if value is None else orjson.dumps(value)
            try:
                async with self.stream(
                    method, path, params=params, headers=headers, content=content, also=also
                ) as response:
                    return _json(await response.aread())
            except httpx.TransportError as error:
                await self.wait_before_next(backoff, error)
            except RequestRefused as error:
                if error.code not in _DRAINING or not self._has_answered:
                    raise
                await self.wait_before_next(backoff, error)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        also: frozenset[int] = frozenset(),
    ) -> AsyncIterator[httpx.Response]:
        """Call once, and hand over the answer while it comes.

        Raises:
            httpx.TransportError: the network failed; see `wait_before_next`.
            RequestRefused: the server refused.
        """
        url, own = self._url(path)
        async with self._http.stream(
            method,
            url,
            params=params,
            headers={**(self._headers if own else {}), **(headers or {})},
            content=content,
            follow_redirects=True,
        ) as response:
            self._has_answered = True
            if response.is_error and response.status_code not in also:
                raise _refusal(response.status_code, await response.aread())
            yield response

    async def wait_before_next(self, backoff: Backoff, error: Exception) -> None:
        """Wait until a failed call may be repeated.

        Raises:
            ServerUnreachable: the server never answered. ConnectionLost: patience has run out.
        """
        backoff.failed()
        reason = str(error) or type(error).__name__
        if not self._has_answered:
            raise ServerUnreachable(self._address.http, reason) from None
        if backoff.is_exhausted:
            raise ConnectionLost(f"the connection to {self._address.http} did not come back ({reason})") from None
        await asyncio.sleep(backoff.delay_s())

    def _url(self, path: str) -> tuple[str, bool]:
        """The whole address, and whether it is the server's own: the key goes nowhere else."""
        if path.startswith("/"):
            return self._address.http + path, True
        return path, path.startswith(self._address.http + "/")


def _refusal(status: int, content: bytes) -> Exception:
    try:
        problem = orjson.loads(content)
    except orjson.JSONDecodeError:
        problem = None
    if isinstance(problem, dict) and "code" in problem:
        return read_refusal(problem, status)
    if status in {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}:
        return httpx.RemoteProtocolError(f"HTTP {status}")  # a proxy's word, not the server's
    return UnexpectedAnswer(f"HTTP {status} without a problem document; is it a Safelight server?")


def _json(content: bytes) -> Any:
    if not content:
        return None
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UnexpectedAnswer(f"the answer is no JSON ({error}); is it a Safelight server?") from None
