"""The client library's connection, with four habits changed: what it cannot be told by its options.

It looks at the version of each server it meets. It drops a broken connection at once, where the library waits until
what it had sent is taken, which a machine without power never does. It tells those who wait for an answer that the
connection broke, where the library lets them wait for their time limit. And it reconnects after every error a server
ends a connection with (a replaced credential, too many connections), where the library gives up for good.
"""

import asyncio
import re
from typing import Any, Final
from urllib.parse import ParseResult

import nats.errors
from nats.aio.client import Client, Srv
from nats.aio.msg import Msg

OLDEST: Final = "2.11"
_OLDEST: Final = (2, 11)
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)")


class OldServer(nats.errors.Error):
    """A server that is too old to be used."""

    def __init__(self, version: str, address: str) -> None:
        super().__init__()
        self.version = version
        self.address = address

    def __str__(self) -> str:
        return (
            f"NATS {self.version} at {self.address}: {OLDEST} or newer is needed, for an older one ignores in silence "
            "what Safelight asks of it; install a newer nats-server, or let nats_url name one"
        )


class Link(Client):
    """See the module. For `service.cluster.connection` alone."""

    @property
    def has_jetstream(self) -> bool:
        """Whether the server it is connected to says that it has."""
        return bool(self._server_info.get("jetstream"))

    def abandon(self) -> None:
        """Drop the connection, with what has not been taken yet, and tell those who wait for an answer."""
        self._drop()
        for answer in list(self._resp_map.values()):
            if not answer.done():
                answer.set_exception(nats.errors.ConnectionReconnectingError())
                answer.exception()  # looked at: of an answer nobody waits for any more nothing is to be logged

    def _drop(self) -> None:
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    async def _connect_to_server(self, s: Srv) -> None:
        self._drop()  # of an attempt that came to nothing: the library forgets it as it is
        await super()._connect_to_server(s)

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,  # noqa: ASYNC109 - the library's
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        if not self.is_connected:  # the library would keep a place for the answer, and never give it up
            raise nats.errors.ConnectionReconnectingError
        # The library waits with `asyncio.wait_for`, which in Python 3.11 forgets to be cancelled when that comes in the
        # same moment as the answer: a background task would go on for ever.
        asked = asyncio.ensure_future(super().request(subject, payload, timeout, old_style, headers))
        try:
            await asyncio.wait([asked])
        except asyncio.CancelledError:
            asked.cancel()
            asked.add_done_callback(lambda gone: gone.cancelled() or gone.exception())
            raise
        return asked.result()

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection:  # of this connection to this server, not of the process
            version = str(info.get("version", "of an unknown version"))
            if not is_new_enough(version):
                url: ParseResult | None = self._current_server.uri if self._current_server is not None else None
                raise OldServer(version, f"{url.hostname}:{url.port}" if url is not None else "an unknown address")
        await super()._process_info(info, initial_connection)

    async def _attempt_reconnect(self) -> None:
        self.abandon()
        await super()._attempt_reconnect()

    async def _process_err(self, err_msg: str) -> None:
        if "permissions violation" in err_msg.lower():
            await super()._process_err(err_msg)  # tells of it, and keeps the connection
            return
        problem = nats.errors.Error(f"nats: {err_msg.strip(chr(39))}")
        await self._error_cb(problem)
        await self._process_op_err(problem)


def is_new_enough(version: str) -> bool:
    """Whether a server of this version can be used, as `2.11.4` or `2.12.0-preview.1`."""
    found = _VERSION.match(version)
    return found is not None and (int(found[1]), int(found[2])) >= _OLDEST
