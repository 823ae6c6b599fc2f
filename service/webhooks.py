"""Tells the facts of a job to whoever asked for it, by signed POST, until it arrives.

The outbox is a table: a row is written in the transaction of its fact, so none is lost, and one is told twice only if
the server dies between the answer and the note of it. Receivers recognise a repeat by `webhook-id`. Rows of one
job are told independently of each other: `seq` in the data says their order.

Source: the Standard Webhooks specification (headers, signature, 410 Gone, Retry-After).
"""

import asyncio
import base64
import binascii
import email.utils
import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import urlsplit

import orjson
import structlog

from protocol.events import Event
from service.errors import ServiceError
from service.outbound import Outbound, Refused
from service.records import JobRecord
from service.settings import Settings, SettingsError

logger = structlog.get_logger(__name__)

SECRET_FILE: Final = "webhook-secret"  # noqa: S105 - a file name
_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what the specification begins secrets with
_SECRET_BYTES: Final = 32
_IN_FLIGHT: Final = 64
_IN_FLIGHT_PER_RECEIVER: Final = 4
_PAGE: Final = 4 * _IN_FLIGHT
_FIRST_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 6 * 3600.0
_GROWTH: Final = 4.0
_JITTER: Final = 0.2
_STEP_ASIDE_S: Final = 1.0
_STORE_PAUSE_S: Final = 5.0
_GONE: Final = 410
_LOWEST_FREE_PORT: Final = 1024


class Outbox(Protocol):
    """Where the waiting rows are; the store. Times are Unix times."""

    async def due_webhooks(self, now: float, limit: int) -> Sequence[Mapping[str, Any]]:
        """Rows (`id`, `url`, `event`, `attempt`, `job_id`, `dialect`) whose time has come, oldest first."""
        ...

    async def next_webhook_at(self) -> float | None: ...

    async def retry_webhook(self, webhook_id: str, attempt: int, next_at: float) -> None: ...

    async def delete_webhook(self, webhook_id: str) -> None: ...

    async def give_up_webhook(self, webhook_id: str, reason: str) -> None: ...


Form: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[bytes | None]]
"""Makes the body that tells of an event (its wire form) of a job (its id), as a foreign service would tell of it.
JSON; None to tell of it in our own form."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came of an attempt: why it failed (None: it did not), and what the receiver asked for."""

    failure: str | None = None
    is_final: bool = False
    pause_s: float = 0.0


def pause_s(attempt: int) -> float:
    """Seconds until the next try after `attempt` failed ones: 5 s, 20 s, ... up to 6 h, each 20 % more or less."""
    pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * _GROWTH ** min(attempt - 1, 16))
    return pause * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - to spread load, not to hide anything


class Webhooks:
    """Delivers the outbox, at most a few at a time to each receiver.

    Args:
        outbox: the store.
        outbound: makes the requests; by default one that follows `allow_private_urls`, to the ports of `fetch_ports`
            and those that need no privilege.
        pause: seconds until the next try after so many failed ones.
    """

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        *,
        outbound: Outbound | None = None,
        pause: Callable[[int], float] = pause_s,
    ) -> None:
        if settings.webhook_secret is not None:
            _check_secret(settings.webhook_secret, "webhook_secret")
        self._settings = settings
        self._outbox = outbox
        self._outbound = outbound or Outbound(
            allow_private=settings.allow_private_urls,
            may_use_port=lambda port: port in settings.fetch_ports or port >= _LOWEST_FREE_PORT,
        )
        self._pause = pause
        self._secret = ""
        self._wake = asyncio.Event()
        self._in_flight: dict[str, asyncio.Task[None]] = {}
        self._receivers: Counter[str] = Counter()
        self.on_result: Callable[[str], None] = lambda _result: None
        """Told of every attempt: `delivered`, `failed` or `given_up`."""
        self.forms: dict[str, Form] = {}
        """Label `dialect` of a job -> the form its clients expect; other jobs are told of in ours."""

    def published(self, event: Event, record: JobRecord | None) -> None:
        """A listener of `service.projection`: a row may have been added."""
        if record is not None and record.webhook is not None and event.is_fact:
            self.wake()

    def wake(self) -> None:
        """Look for due rows now."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled; what is in flight then is delivered again after the next start.

        Raises:
            SettingsError: the secret's file cannot be read or made.
        """
        given = self._settings.webhook_secret
        self._secret = await asyncio.to_thread(stored_secret, self._settings.data_dir) if given is None else given
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._wake.clear()
                    try:
                        wait_s = await self._start_due(group)
                    except Exception:  # the server lives without webhooks, and not without its background tasks
                        logger.exception("webhooks.outbox_unavailable", retry_after_s=_STORE_PAUSE_S)
                        wait_s = _STORE_PAUSE_S
                    with suppress(TimeoutError):
                        async with asyncio.timeout(wait_s):
                            await self._wake.wait()
        finally:
            await self._outbound.aclose()

    async def _start_due(self, group: asyncio.TaskGroup) -> float | None:
        """Start what is due and may start; seconds until there may be more, None if only `wake` can tell."""
        now = time.time()
        rows = await self._outbox.due_webhooks(now, _PAGE)
        for row in rows:
            if row["id"] in self._in_flight:
                continue
            receiver = urlsplit(row["url"]).netloc
            if len(self._in_flight) < _IN_FLIGHT and self._receivers[receiver] < _IN_FLIGHT_PER_RECEIVER:
                self._receivers[receiver] += 1
                self._in_flight[row["id"]] = group.create_task(
                    self._deliver(row, receiver), name=f"webhook {row['id']}"
                )
            elif len(rows) == _PAGE:
                # A page full of one receiver's rows must not hide those of the others.
                await self._outbox.retry_webhook(row["id"], row["attempt"], now + _STEP_ASIDE_S)
        if len(rows) == _PAGE:
            return 0.0
        next_at = await self._outbox.next_webhook_at()
        if next_at is None:
            return None
        # Rows in flight are still due; the end of each wakes us.
        return max(next_at - time.time(), _STEP_ASIDE_S if self._in_flight else 0.0)

    async def _deliver(self, row: Mapping[str, Any], receiver: str) -> None:
        try:
            await self._attempt(row)
        except Exception:
            logger.exception("webhook.not_noted", webhook_id=row["id"], job_id=row["job_id"])
            await asyncio.sleep(_STORE_PAUSE_S)  # it stays due, and must not be told again and again meanwhile
        finally:
            del self._in_flight[row["id"]]
            self._receivers[receiver] -= 1
            if not self._receivers[receiver]:
                del self._receivers[receiver]
            self._wake.set()

    async def _attempt(self, row: Mapping[str, Any]) -> None:
        webhook_id, attempt = row["id"], row["attempt"] + 1
        started_at = time.monotonic()
        answer = await self._post(row)
        log = logger.bind(
            webhook_id=webhook_id,
            job_id=row["job_id"],
            attempt=attempt,
            duration_s=round(time.monotonic() - started_at, 3),
        )
        if answer.failure is None:
            await self._outbox.delete_webhook(webhook_id)
            self.on_result("delivered")
            log.info("webhook.delivered")
        elif answer.is_final or attempt >= self._settings.webhook_max_attempts:
            await self._outbox.give_up_webhook(webhook_id, answer.failure)
            self.on_result("given_up")
            log.warning("webhook.given_up", reason=answer.failure)
        else:
            pause = max(self._pause(attempt), answer.pause_s)
            await self._outbox.retry_webhook(webhook_id, attempt, time.time() + pause)
            self.on_result("failed")
            log.info("webhook.failed", reason=answer.failure, retry_after_s=round(pause, 1))

    async def _post(self, row: Mapping[str, Any]) -> _Answer:
        event = orjson.loads(row["event"])
        form = self.forms.get(row.get("dialect") or "")
        try:
            body = await form(row["job_id"], event) if form is not None else None
        except ServiceError as error:  # the picture in it cannot be had at the moment
            return _Answer(error.message)
        if body is None:
            body = orjson.dumps({"type": event["type"], "timestamp": event["at"], "data": event})
        timeout_s = self._settings.webhook_timeout_s
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._outbound.request(
                    "POST", row["url"], headers=self._signed(row["id"], body), content=body, timeout_s=timeout_s
                ) as response,
            ):
                # The body of the answer is not read: nothing in it would matter, and it may have no end.
                return _judge(response.status_code, response.headers)
        except Refused as refusal:
            return _Answer(str(refusal))
        except TimeoutError:
            return _Answer(f"no answer within {timeout_s:g} s")

    def _signed(self, webhook_id: str, body: bytes) -> dict[str, str]:
        from standardwebhooks.webhooks import Webhook  # of use only to those who have webhooks

        moment = datetime.now(UTC)
        return {
            "Content-Type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Webhook(self._secret).sign(webhook_id, moment, body.decode()),
        }


def stored_secret(data_dir: Path) -> str:
    """The secret kept in the data folder, made if there is none; only its owner may read the file.

    Raises:
        SettingsError: the file cannot be read or made, or holds no secret.
    """
    path = data_dir / SECRET_FILE
    made = _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    # Written beside it and linked: a server killed in between leaves no half a secret, and of two only one wins.
    part = path.with_name(f"{SECRET_FILE}.{os.getpid()}")
    try:
        if not path.exists():
            data_dir.mkdir(parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(made + "\n")
            with suppress(FileExistsError):
                path.hardlink_to(part)
            part.unlink()
        secret = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be used for the webhook secret: {error}") from None
    _check_secret(secret, str(path))
    return secret


def _check_secret(secret: str, name: str) -> None:
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX) + "==")
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise SettingsError(f"{name}: expected whsec_ and base64, as the Standard Webhooks write it")


def _judge(status: int, headers: Mapping[str, str]) -> _Answer:
    if 200 <= status < 300:
        return _Answer()
    return _Answer(f"answered with status {status}", status == _GONE, _retry_after_s(headers.get("retry-after", "")))


def _retry_after_s(text: str) -> float:
    """Seconds asked for by `Retry-After`, as a number or a date; 0 if it says nothing, never beyond the longest."""
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), _LONGEST_PAUSE_S)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    seconds = (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds()
    return min(max(0.0, seconds), _LONGEST_PAUSE_S)
