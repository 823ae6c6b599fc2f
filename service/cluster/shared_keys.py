"""The API keys of a cluster, and the secrets all its gateways have to share.

All records are one entry of the bucket `keys`: so two who add a key of the same name at once cannot both succeed, and
a gateway reads all in one question. With a million bytes to a message there is room for some thousands of keys.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from service.auth import KeyProblem, KeyRecord, Scope, new_key
from service.clock import timestamp
from service.cluster.connection import Unavailable
from service.cluster.kv import Bucket

_RECORDS: Final = "records"
_TRIES: Final = 20


class SharedKeys:
    """Adds, lists and revokes keys. All methods raise `Unavailable`.

    Args:
        bucket: `keys`.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def load(self) -> Sequence[KeyRecord]:
        """All keys, oldest first, revoked ones too; what a `KeyRing` loads."""
        records, _ = await self._read()
        return records

    async def add(self, name: str, scopes: Collection[Scope]) -> str:
        """Add a key; returns the secret, which is kept nowhere.

        Raises:
            KeyProblem: a key of that name is in use, the name is empty, or there are too many keys.
        """
        if not name.strip():
            raise KeyProblem("a key needs a name")
        secret, record = new_key(name, scopes)

        def with_it(records: Sequence[KeyRecord]) -> Sequence[KeyRecord]:
            if any(other.name == name and other.revoked_at is None for other in records):
                raise KeyProblem(f"a key named {name!r} is in use: revoke it first, or take another name")
            return [*records, record]

        await self._change(with_it)
        return secret

    async def revoke(self, id_or_name: str) -> KeyRecord:
        """Revoke a key in use; returns it as it is now. Gateways refuse it within a few seconds.

        Raises:
            KeyProblem: there is none.
        """
        at = timestamp()
        revoked: list[KeyRecord] = []

        def without_it(records: Sequence[KeyRecord]) -> Sequence[KeyRecord]:
            meant = [record for record in records if id_or_name in {record.id, record.name} and not record.revoked_at]
            if not meant:
                raise KeyProblem(f"no key in use has the id or the name {id_or_name!r}")
            revoked[:] = [replace(record, revoked_at=at) for record in meant]
            by_id = {record.id: record for record in revoked}
            return [by_id.get(record.id, record) for record in records]

        await self._change(without_it)
        return revoked[0]

    async def _read(self) -> tuple[list[KeyRecord], int]:
        entry = await self._bucket.get(_RECORDS)
        if entry is None:
            return [], 0
        return [KeyRecord.from_row(row) for row in orjson.loads(entry.value)], entry.revision

    async def _change(self, change: Callable[[Sequence[KeyRecord]], Sequence[KeyRecord]]) -> None:
        for _ in range(_TRIES):
            records, revision = await self._read()
            value = orjson.dumps([_row(record) for record in change(records)])
            if len(value) > self._bucket.room_bytes:
                raise KeyProblem("there are too many keys; the shared list of them has to fit in one message of NATS")
            if await self._bucket.update(_RECORDS, value, revision) is not None:
                return
        raise Unavailable("changing the keys: too many others do so too")


async def shared_secret(bucket: Bucket, name: str, make: Callable[[], bytes]) -> bytes:
    """A secret that is made once for all gateways, and then the same for ever.

    Args:
        bucket: `secrets`.
        name: letters, digits, underscores and hyphens.
        make: makes one; it is used if there is none yet.

    Raises:
        Unavailable: NATS is away.
    """
    for _ in range(2):
        entry = await bucket.get(name)
        if entry is not None:
            return entry.value
        secret = make()
        if await bucket.create(name, secret) is not None:
            return secret
    raise Unavailable(f"the shared secret {name} was made and is not there")


def _row(record: KeyRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "hash": record.hash,
        "scopes": " ".join(sorted(record.scopes)),
        "created_at": record.created_at,
        "revoked_at": record.revoked_at,
    }
