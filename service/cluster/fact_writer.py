"""Facts into their stream, and out again: each write is fenced by the fact before it.

    Fenced           somebody else has written the next fact of the job
    Unavailable      it is not known to be stored

A job's facts are on a subject of its own. Who writes one names the place of the last one known; NATS refuses it if
there is another by now, so of two that believe they have a job one is told, and a job has one end. An answer may get
lost on its way: then the id of the message that stands in that place says whose it is.

Source: optimistic concurrency by Nats-Expected-Last-Subject-Sequence, NATS JetStream headers.
"""

import asyncio
import contextlib
import random
import secrets
from dataclasses import dataclass
from typing import Final

from nats.js.api import Header, RawStreamMsg
from nats.js.errors import APIError, NotFoundError

from protocol.errors import ErrorCode, ProtocolError
from service.cluster.connection import Connection, Unavailable, asking
from service.cluster.envelope import FactMessage, Note, RemovedNote, WebhookNote
from service.cluster.names import Names

REMOVED_NOTE_TTL_S: Final = 7 * 86_400
"""So long a gateway may be away and still hear that a job is gone."""
_HEADERS_BYTES: Final = 1024
"""Of a message, at most, beside its payload."""
_ACK_S: Final = 2.0
"""An acknowledgement that takes longer was lost with a server that led; the fact is sent again."""
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0
_WRONG_LAST: Final = frozenset({10071, 10164})  # with the last sequence in the text, and without
_IN_PROCESS: Final = 10158
"""Of replicas: a message of this id is on its way to them."""
_NO_MESSAGE: Final = frozenset({None, 10037})
"""The stream has none there, as replicas and the leader say it; no stream is another thing."""


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A fact and its place in the stream of all facts."""

    message: FactMessage
    sequence: int
    message_id: str


class Fenced(Exception):
    """Somebody else has written a fact of this job meanwhile; ours is not stored, and the job not ours.

    Attributes:
        last: the job's last fact; None if it has none any more.
    """

    def __init__(self, job_id: str, last: StoredFact | None) -> None:
        what = f"{last.message.event.type} at {last.sequence}" if last is not None else "nothing"
        super().__init__(f"job {job_id}: the last fact is {what}")
        self.last = last


class FactWriter:
    """Writes and reads single facts. For the event loop only; many may be on their way at once."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._js = connection.js
        self._names = names

    # ---- writing ---------------------------------------------------------------------------------------------

    async def append(self, message: FactMessage, *, after: int, within_s: float | None = None) -> int:
        """Store the next fact of a job.

        Args:
            after: the place of the fact before it; 0 for the first.
            within_s: None waits for NATS as long as it takes.

        Returns:
            Its place.

        Raises:
            Fenced: there is another fact in its place.
            Unavailable: the time is over. It is not known to be stored; if it was on its way, it may yet be.
            ProtocolError: `too_large` for the server.
        """
        payload = self._fitting(message.to_bytes())
        subject = self._names.fact(message.job_id)
        message_id = secrets.token_hex(12)
        headers: dict[str, str] = {Header.MSG_ID: message_id, Header.EXPECTED_LAST_SUBJECT_SEQUENCE: str(after)}
        pause_s, problem = _FIRST_PAUSE_S, "it does not answer"
        try:
            async with asyncio.timeout(within_s):
                while True:
                    try:
                        # Stored before, NATS knows the id and tells the place; or, minutes later, refuses.
                        return await self._publish(subject, payload, headers)
                    except _Refused:
                        if (place := await self._settled(message, after, message_id)) is not None:
                            return place
                    except Unavailable as error:
                        problem = str(error)
                    await self._rest(pause_s)
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        except TimeoutError:
            raise Unavailable(f"{subject}: not known to be stored after {within_s:g} s: {problem}") from None

    async def note(self, note: Note, *, within_s: float | None = None) -> int:
        """Tell all gateways what is no fact. Noted twice within minutes, it is stored once.

        Returns:
            Its place in the stream.

        Raises:
            Unavailable: the time is over.
        """
        subject = self._names.note(note.WHAT, note.job_id)
        headers: dict[str, str] = {Header.MSG_ID: note.message_id}
        if isinstance(note, RemovedNote):
            headers[Header.MSG_TTL] = str(REMOVED_NOTE_TTL_S)
        pause_s = _FIRST_PAUSE_S
        try:
            async with asyncio.timeout(within_s):
                while True:
                    with contextlib.suppress(Unavailable):
                        return await self._publish(subject, note.to_bytes(), headers)
                    await self._rest(pause_s)
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        except TimeoutError:
            raise Unavailable(f"{subject}: not known to be stored after {within_s:g} s") from None

    async def purge(self, job_id: str) -> None:
        """Take the facts of a job out of the stream, and what was noted of its webhooks. Of one that is gone, nothing.

        Raises:
            Unavailable: some may be left.
        """
        for subject in (self._names.fact(job_id), self._names.note(WebhookNote.WHAT, job_id)):
            with asking(subject):
                await self._js.purge_stream(self._names.facts_stream, subject=subject)

    # ---- reading ---------------------------------------------------------------------------------------------

    async def last(self, job_id: str) -> StoredFact | None:
        """The last fact of a job, which says how it stands; None if there is none.

        With replicas it may be a moment behind; who writes after it is told.

        Raises:
            Unavailable: NATS does not answer.
        """
        return await self._read(job_id, None, is_exact=False)

    async def first(self, job_id: str) -> StoredFact | None:
        """The first fact of a job, `job.queued` with its rows; None if there is none.

        Raises:
            Unavailable: NATS does not answer.
        """
        return await self._read(job_id, 1, is_exact=False)

    async def history(self, job_id: str, *, after: int = 0) -> list[StoredFact]:
        """All facts of a job, in order.

        Args:
            after: only those behind this place.

        Raises:
            Unavailable: NATS does not answer.
        """
        facts: list[StoredFact] = []
        while (fact := await self._read(job_id, after + 1, is_exact=True)) is not None:
            facts.append(fact)
            after = fact.sequence
        return facts

    async def _read(self, job_id: str, begin: int | None, *, is_exact: bool) -> StoredFact | None:
        """The first fact at `begin` or behind it; the last one without `begin`.

        A replica may answer unless `is_exact`. What it does not have, it may only not have yet: then the leader says.
        """
        subject = self._names.fact(job_id)
        for is_direct in (False,) if is_exact else (True, False):
            try:
                with asking(subject):
                    raw = await self._js.get_msg(
                        self._names.facts_stream,
                        seq=begin,
                        subject=subject,
                        direct=is_direct,
                        next=begin is not None,
                    )
            except NotFoundError as error:
                if error.err_code not in _NO_MESSAGE:
                    raise Unavailable(f"{subject}: {error.description}") from None
            else:
                return _stored(raw)
        return None

    # ---- the answer that got lost ----------------------------------------------------------------------------

    async def _publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> int:
        try:
            with asking(subject):
                ack = await self._js.publish(
                    subject, payload, timeout=_ACK_S, stream=self._names.facts_stream, headers={**headers}
                )
        except APIError as error:
            if error.err_code in _WRONG_LAST:
                raise _Refused from None
            if error.err_code == _IN_PROCESS:
                raise Unavailable(f"{subject}: {error.description}") from None
            raise
        return ack.seq

    async def _settled(self, message: FactMessage, after: int, message_id: str) -> int | None:
        """After a refusal: the place of our fact, if it was stored; None if that cannot be said yet.

        What stands right behind `after` says so, also when the job has gone on since.

        Raises:
            Fenced: it was not.
        """
        try:
            there = await self._read(message.job_id, after + 1, is_exact=True)
            if there is not None and there.message_id == message_id:
                return there.sequence
            last = await self._read(message.job_id, None, is_exact=True)
        except Unavailable:
            return None
        if (last.sequence if last is not None else 0) == after:
            return None  # what it was refused for is on its way to the replicas
        raise Fenced(message.job_id, last)

    async def _rest(self, pause_s: float) -> None:
        """Before the next attempt: until NATS is there, and a little longer, not all in the same moment."""
        await self._connection.until_connected()
        await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - no secret

    def _fitting(self, payload: bytes) -> bytes:
        most = self._connection.max_payload - _HEADERS_BYTES
        if len(payload) > most:
            raise ProtocolError(
                ErrorCode.TOO_LARGE,
                f"expected at most {most} bytes beside the pictures, got {len(payload)}: NATS takes no larger message",
            )
        return payload


class _Refused(Exception):
    """The place a fact was to follow is not the last one of its job."""


def _stored(raw: RawStreamMsg) -> StoredFact:
    headers = raw.headers or {}
    assert raw.data is not None
    assert raw.seq is not None
    return StoredFact(FactMessage.from_bytes(raw.data), raw.seq, headers.get(Header.MSG_ID, ""))
