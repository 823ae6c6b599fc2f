"""What idempotency keys were used for, known to all gateways: the bucket `idempotency`, which forgets them in time."""

import hashlib
from typing import Final, NamedTuple

import orjson

from service.cluster.connection import Unavailable
from service.cluster.kv import Bucket, Entry

_TRIES: Final = 5
_NOTED_BY_OTHERS: Final = "noting an idempotency key: it is being noted by others"


class Earlier(NamedTuple):
    """What a key was used for before.

    Attributes:
        digest: of the request it came with.
        is_told: a client that repeated the request was told of the job; it cannot be taken back.
    """

    job_id: str
    digest: str
    is_told: bool = False


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
        raise Unavailable(_NOTED_BY_OTHERS)

    async def confirm(self, key_id: str, idempotency_key: str, job_id: str) -> bool:
        """Note that a client is told of this job now; False if the key is not, or no longer, noted for it."""
        place = _place(key_id, idempotency_key)
        for _ in range(_TRIES):
            entry = await self._bucket.get(place)
            if entry is None or (earlier := _read(entry)).job_id != job_id:
                return False
            if earlier.is_told:
                return True
            value = orjson.dumps({"job": job_id, "digest": earlier.digest, "told": True})
            if await self._bucket.update(place, value, entry.revision) is not None:
                return True
        raise Unavailable(_NOTED_BY_OTHERS)

    async def release(self, key_id: str, idempotency_key: str, job_id: str) -> bool:
        """Let a key be used anew, if it is noted for this job: the job has not come to be.

        Returns:
            Whether it is not noted for this job now. It stays if a client was told of the job meanwhile.
        """
        place = _place(key_id, idempotency_key)
        for _ in range(_TRIES):
            entry = await self._bucket.get(place)
            if entry is None or (earlier := _read(entry)).job_id != job_id:
                return True
            if earlier.is_told:
                return False
            if await self._bucket.delete(place, entry.revision):
                return True
        raise Unavailable(_NOTED_BY_OTHERS)


def _place(key_id: str, idempotency_key: str) -> str:
    # A key may hold anything, also what would be a separator.
    return hashlib.sha256(orjson.dumps([key_id, idempotency_key])).hexdigest()


def _read(entry: Entry) -> Earlier:
    noted = orjson.loads(entry.value)
    return Earlier(noted["job"], noted["digest"], noted.get("told", False))
