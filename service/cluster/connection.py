"""One connection of this process to NATS, for as long as the process runs.

    Unavailable       NATS is away, or has not answered in time
    UnfitServer       what answers cannot be used: too old, without JetStream, or nothing answers at the start

A server older than 2.11 is never used, not even when one of several turns out to be old after a reconnect: it ignores
settings that Safelight relies on without a word, and 2.9 forgets what it has confirmed when it is killed. The client
library does not look.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import nats.errors
import structlog
from nats.js import JetStreamContext
from nats.js.errors import NoStreamResponseError, ServerError, ServiceUnavailableError

from service.cluster.credentials import Credentials
from service.cluster.link import OLDEST, Link, OldServer
from service.cluster.nats_url import addresses, login
from service.database import StoreUnavailable
from service.settings import SettingsError

logger = structlog.get_logger(__name__)

ANSWER_S: Final = 5.0
"""NATS is asked no longer than this; it answers in milliseconds, or after an election of its own within seconds."""
_RECONNECT_S: Final = 0.2
_PING_S: Final = 2
_UNANSWERED_PINGS: Final = 2
_LONGEST_PAUSE_S: Final = 2.0
_NO_LEADER_YET: Final = 10008

_NO_ANSWER: Final = (
    TimeoutError,
    OSError,
    nats.errors.NoRespondersError,
    nats.errors.StaleConnectionError,
    nats.errors.OutboundBufferLimitError,  # what the library says of publishing while it reconnects
    nats.errors.ConnectionClosedError,
    nats.errors.ConnectionDrainingError,
    nats.errors.ConnectionReconnectingError,
)

Hook = Callable[[], Awaitable[None]]


class Unavailable(StoreUnavailable):
    """NATS is away, or has not answered in time. Whether what was asked for has been done is not known."""


class UnfitServer(SettingsError):
    """What is to join gateways and workers cannot; the message says what was found and what to do."""


@contextlib.contextmanager
def asking(what: str) -> Iterator[None]:
    """Make `Unavailable` of all that means that NATS does not answer; other refusals of its go through.

    Args:
        what: begins the message.
    """
    try:
        yield
    except (NoStreamResponseError, ServiceUnavailableError, ServerError) as error:
        raise Unavailable(f"{what}: NATS cannot do it now: {error}") from error
    except _NO_ANSWER as error:
        raise Unavailable(f"{what}: no answer of NATS: {str(error) or type(error).__name__}") from error


class Connection:
    """Made by `connect`. It reconnects for ever; `close` ends it.

    Nothing is kept back to be sent later: what is published while NATS is away raises at once, and what waits for an
    answer is told when the connection breaks.

    Attributes:
        on_reconnect: run one after the other when NATS is back, each again until NATS has answered it.
        on_state: told True or False when the connection is there or away; before `on_reconnect`.
    """

    def __init__(self, url: str, link: Link) -> None:
        self.nats = link
        self.js: JetStreamContext = link.jetstream(timeout=ANSWER_S)
        self.on_reconnect: list[Hook] = []
        self.on_state: list[Callable[[bool], None]] = []
        self._address = addresses(url)
        self._since: float | None = None
        self._is_up = asyncio.Event()
        self._is_back = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self.problem: Exception | None = None
        """The last of the connection itself, since it was there."""
        self.refusal: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        """The first answer of a server that will be the same the next time."""

    @property
    def is_connected(self) -> bool:
        return self._since is not None and self.nats.is_connected

    @property
    def connected_since(self) -> float | None:
        """By the monotonic clock, since when without a break; None while it is away."""
        return self._since if self.is_connected else None

    @property
    def max_payload(self) -> int:
        """The largest message the server takes, in bytes, its headers included."""
        return self.nats.max_payload

    @property
    def address(self) -> str:
        """Where NATS is looked for, as `HOST:PORT`s: without a password."""
        return self._address

    async def until_connected(self) -> None:
        await self._is_up.wait()

    async def close(self) -> None:
        """End it, with what is on its way sent if that can be done soon."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        with contextlib.suppress(Unavailable), asking("closing"):
            if self.is_connected:
                await self.nats.flush(timeout=2)
        self._since = None
        self._is_up.clear()
        self.nats.abandon()
        await self.nats.close()

    # ---- told by the client library --------------------------------------------------------------------------

    def went_up(self) -> None:
        self._since = time.monotonic()
        self.problem = None
        self._is_up.set()
        self._tell(True)
        if self._following is None:
            self._following = asyncio.create_task(self._follow(), name="nats-reconnects")

    async def came_back(self) -> None:
        logger.info("nats.back", address=self._server())
        self.went_up()
        self._is_back.set()

    async def went_away(self) -> None:
        if self._since is None:
            return
        self._since = None
        self._is_up.clear()
        logger.warning("nats.away", address=self._address, reason=str(self.problem or "it does not answer"))
        self._tell(False)

    async def met(self, problem: Exception) -> None:
        """A problem of the connection or of a subscription; the library goes on by itself."""
        if isinstance(problem, nats.errors.SlowConsumerError):
            logger.error("nats.slow_consumer", subject=problem.subject)
            return
        is_new = str(problem) != str(self.problem)
        self.problem = problem
        if (isinstance(problem, OldServer) or "uthorization" in str(problem)) and not self.refusal.done():
            self.refusal.set_result(problem)
        if self._following is None:
            return  # at the start: `connect` tells of it
        if isinstance(problem, OldServer):
            logger.error("nats.unfit", address=problem.address, version=problem.version, needed=OLDEST)
        elif is_new and not isinstance(problem, nats.errors.UnexpectedEOF):
            logger.warning("nats.problem", reason=str(problem) or type(problem).__name__)

    def _server(self) -> str:
        url = self.nats.connected_url
        return addresses(url.geturl()) if url is not None else self._address

    def _tell(self, is_connected: bool) -> None:
        for listener in self.on_state:
            try:
                listener(is_connected)
            except Exception:  # the library would stop reconnecting
                logger.exception("nats.listener_failed", listener=getattr(listener, "__qualname__", "?"))

    async def _follow(self) -> None:
        """Run `on_reconnect` after each reconnect; a further one begins them anew."""
        while True:
            await self._is_back.wait()
            self._is_back.clear()
            waiting, pause_s = list(self.on_reconnect), _RECONNECT_S
            while waiting and not self._is_back.is_set():
                try:
                    await waiting[0]()
                except Unavailable as problem:
                    logger.warning("nats.not_ready", reason=str(problem))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(pause_s):
                            await self._is_back.wait()
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                except Exception:  # the other hooks must run all the same
                    logger.exception("nats.reconnect_failed", hook=getattr(waiting[0], "__qualname__", "?"))
                    del waiting[0]
                else:
                    del waiting[0]


async def connect(url: str, name: str, *, credentials: Path | None = None, within_s: float = 10.0) -> Connection:
    """Connect to NATS.

    Args:
        url: as the setting `nats_url`: several with commas.
        name: what NATS shows of this connection.
        credentials: a .creds file. It is read again for each reconnect, so it may be replaced.
        within_s: NATS may take this long to be there.

    Raises:
        UnfitServer: it is not there, does not let us in, is too old, or has no JetStream.
    """
    secret = Credentials(credentials) if credentials is not None else None
    link = Link()
    connection = Connection(url, link)
    attempt = asyncio.create_task(
        link.connect(
            servers=[part.strip() for part in url.split(",") if part.strip()],
            name=name,
            error_cb=connection.met,
            disconnected_cb=connection.went_away,
            reconnected_cb=connection.came_back,
            connect_timeout=2,
            max_reconnect_attempts=-1,
            # Not all of a cluster in the same moment. The library's type says whole seconds; it only sleeps them.
            reconnect_time_wait=_RECONNECT_S * random.uniform(1, 2),  # type: ignore[arg-type] # noqa: S311 - no secret
            ping_interval=_PING_S,
            max_outstanding_pings=_UNANSWERED_PINGS,
            pending_size=0,  # nothing is kept back: what is told as not done must not be done minutes later
            user_jwt_cb=secret.jwt if secret is not None else None,
            signature_cb=secret.sign if secret is not None else None,
            **login(url),
        )
    )
    try:
        async with asyncio.timeout(within_s):
            either: list[asyncio.Future[Any]] = [attempt, connection.refusal]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not attempt.done():
                raise _refused(connection)
            attempt.result()
            await _find_jetstream(connection)
    except BaseException as error:
        what = "JetStream" if attempt.done() and attempt.exception() is None else "NATS"
        attempt.cancel()
        await asyncio.wait([attempt])
        await connection.close()
        if isinstance(error, TimeoutError | nats.errors.Error):
            reason = f": {connection.problem or error}" if connection.problem or str(error) else ""
            raise UnfitServer(
                f"nats_url: no {what} answers at {connection.address} within {within_s:g} s{reason}; "
                "start one, or let nats_url name one that runs"
            ) from None
        raise
    connection.went_up()
    return connection


def _refused(connection: Connection) -> UnfitServer:
    problem = connection.refusal.result()
    if isinstance(problem, OldServer):
        return UnfitServer(f"nats_url: {problem}")
    return UnfitServer(
        f"nats_url: NATS at {connection.address} does not let us in: {problem}; "
        "see nats_credentials, or give nats_url a name and password: nats://NAME:PASSWORD@HOST:PORT"
    )


async def _find_jetstream(connection: Connection) -> None:
    """
    Raises:
        UnfitServer: the server, or our account there, has no JetStream.
    """
    impatient = connection.nats.jetstream(timeout=1)  # while servers choose a leader, some ask nobody
    while True:
        try:
            await impatient.account_info()
        except nats.errors.TimeoutError as error:
            connection.problem = error
        except ServiceUnavailableError as error:
            is_starting = error.err_code == _NO_LEADER_YET or (error.err_code is None and connection.nats.has_jetstream)
            if not is_starting:
                reason = error.description or "it is off"
                raise UnfitServer(
                    f"nats_url: NATS at {connection.address} has no JetStream for us: {reason}; "
                    "start nats-server with -js or a jetstream block, and enable it for the account"
                ) from None
            await asyncio.sleep(_RECONNECT_S)
        else:
            return
