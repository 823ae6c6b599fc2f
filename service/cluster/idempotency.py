"""What idempotency keys were used for, known to all gateways: the bucket `idempotency`, which forgets them in time."""

import hashlib
from typing import Final, NamedTuple

import orjson

from service.cluster.connection import Unavailable
from service.cluster.kv import Bucket, Entry

_TRIES: Final = 5


class Earlier(NamedTuple):
    """What a key was used for before.

    Attributes:
        digest: of the request it came with.
    """

    job_id: str
    digest: str


class Idempotency:
    """Notes each key once. All methods raise `Unavailable`.

    Args:
        bucket: `idempotency`.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def claim(self, key_id: str, idempotency_key: str, digest: str, job_id: str) -> Earlier | None:
        """Note what a key is used for, unless that was noted before; of several at once only one is noted.

        Args:
            key_id: of the API key, each of which has idempotency keys of its own.

        Returns:
            What was noted before; None if that is `job_id`, now or by an earlier try.
        """
        place = _place(key_id, idempotency_key)
        value = orjson.dumps({"job": job_id, "digest": digest})
        for _ in range(_TRIES):  # what is there may just be running out
            if await self._bucket.create(place, value) is not None:
                return None
            entry = await self._bucket.get(place)
            if entry is not None:
                earlier = _read(entry)
                return earlier if earlier.job_id != job_id else None
        raise Unavailable("noting an idempotency key: it is being noted by others")

    async def release(self, key_id: str, idempotency_key: str, job_id: str) -> None:
        """Let a key be used anew, if it is noted for this job: the job has not come to be."""
        place = _place(key_id, idempotency_key)
        entry = await self._bucket.get(place)
        if entry is not None and _read(entry).job_id == job_id:
            await self._bucket.delete(place, entry.revision)


def _place(key_id: str, idempotency_key: str) -> str:
    # A key may hold anything, also what would be a separator.
    return hashlib.sha256(orjson.dumps([key_id, idempotency_key])).hexdigest()


def _read(entry: Entry) -> Earlier:
    noted = orjson.loads(entry.value)
    return Earlier(noted["job"], noted["digest"])
