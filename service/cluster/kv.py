"""One key-value bucket, as far as Safelight needs it. It is a stream that keeps the last message of each subject."""

from typing import Final, NamedTuple

from nats.js.api import Header, RawStreamMsg
from nats.js.errors import APIError, NotFoundError

from service.cluster.connection import Connection, Unavailable, asking
from service.cluster.jetstream import NO_MESSAGE, WRONG_LAST_SEQUENCE

OPERATION: Final = "KV-Operation"
MARKER: Final = "Nats-Marker-Reason"
_HEADERS_BYTES: Final = 4096
_DELETED: Final = {OPERATION: "DEL"}


class Entry(NamedTuple):
    """A value as it stands in a bucket."""

    key: str
    value: bytes
    revision: int
    """Rises with every change in the bucket."""


class Bucket:
    """Reads and writes one bucket. A bucket that is not there is like NATS being away: it is made again elsewhere.

    What was read is never older than what was written before: it comes from the one server that also takes the
    writes. All methods raise `Unavailable`.

    Args:
        name: as `Names.bucket` has it.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self.name = name
        self.stream = f"KV_{name}"
        self.prefix = f"$KV.{name}."

    @property
    def room_bytes(self) -> int:
        """The longest value NATS takes."""
        return self._connection.max_payload - _HEADERS_BYTES

    async def get(self, key: str) -> Entry | None:
        message = await self._last(key)
        if message is None or is_removal(message.headers or {}):
            return None
        return Entry(key, message.data or b"", message.seq or 0)

    async def put(self, key: str, value: bytes) -> int:
        """Set it, whatever it was; returns its revision."""
        return await self._publish(key, value, {})

    async def create(self, key: str, value: bytes) -> int | None:
        """Set it if there is none; None if there is."""
        revision = await self.update(key, value, 0)
        if revision is None:
            # One that was removed leaves a mark behind, and that counts as there.
            removed = await self.removal(key)
            revision = await self.update(key, value, removed) if removed is not None else None
        return revision

    async def update(self, key: str, value: bytes, revision: int) -> int | None:
        """Set it if it still has this revision; returns the new one, or None."""
        return await self._fenced(key, value, {}, revision)

    async def delete(self, key: str, revision: int | None = None) -> bool:
        """Remove it, if `revision` is given only while it still has that; whether that was so."""
        if revision is None:
            await self._publish(key, b"", _DELETED)
            return True
        return await self._fenced(key, b"", _DELETED, revision) is not None

    async def removal(self, key: str) -> int | None:
        """The revision with which it was deleted, as long as that is remembered; None if it is there, or never was."""
        message = await self._last(key)
        return message.seq if message is not None and is_removal(message.headers or {}) else None

    async def _last(self, key: str) -> RawStreamMsg | None:
        with asking(f"reading {self.name}"):
            try:
                return await self._connection.js.get_msg(self.stream, subject=self.prefix + key)
            except NotFoundError as error:
                if error.err_code != NO_MESSAGE:
                    raise Unavailable(f"reading {self.name}: the bucket is not there") from error
                return None

    async def _fenced(self, key: str, value: bytes, headers: dict[str, str], revision: int) -> int | None:
        try:
            return await self._publish(
                key, value, {**headers, Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(revision)}
            )
        except APIError as error:
            if error.err_code in WRONG_LAST_SEQUENCE:
                return None
            raise

    async def _publish(self, key: str, value: bytes, headers: dict[str, str]) -> int:
        with asking(f"writing {self.name}"):
            ack = await self._connection.js.publish(self.prefix + key, value, headers=dict(headers) or None)
        return ack.seq


def is_removal(headers: dict[str, str]) -> bool:
    """Whether a message of a bucket only says that its key is gone."""
    return headers.get(OPERATION) in {"DEL", "PURGE"} or MARKER in headers
