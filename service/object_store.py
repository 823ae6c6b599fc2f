"""Puts files where others can fetch them: into a bucket, or a folder. Whole, or not at all.

ObjectStore   does it
connect       a client of such a place; also for the pictures of a cluster
"""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import anyio.to_thread

from service.storage import StoragePlace

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Config, S3Store

    Client: TypeAlias = S3Store | LocalStore

_FIRST_PAUSE: Final = timedelta(milliseconds=200)
_LONGEST_PAUSE_S: Final = 5.0
_MOST_RETRIES: Final = 1000
"""Within the time there is; that is what ends them."""


class NotStored(Exception):
    """A file could not be stored; the message says why, for the operator's log."""


class Storing(Protocol):
    """What puts results where others can fetch them."""

    async def put(self, name: str, path: Path, media_type: str) -> str: ...


class ObjectStore:
    """A bucket or a folder. Costs nothing to make; connected to when it is first used. For the event loop only."""

    def __init__(self, place: StoragePlace) -> None:
        self._place = place
        self._client: Client | None = None

    async def put(self, name: str, path: Path, media_type: str) -> str:
        """Store a file, and tell where it can be had. Tried again until the deadline of the caller.

        Args:
            name: of letters that need no quoting in a URL.

        Raises:
            NotStored: it was refused, or nobody answers.
        """
        if self._client is None:
            self._client = await anyio.to_thread.run_sync(_connected, self._place)
        # The thread has imported them; a server that stores nowhere else does not need them.
        import obstore
        from obstore.exceptions import BaseError
        from obstore.store import S3Store

        place, name = self._place, self._place.prefix + name
        try:
            content = await anyio.to_thread.run_sync(path.read_bytes)
            # In one request, however large: an upload in parts that is broken off leaves parts behind.
            await obstore.put_async(
                self._client,
                name,
                content,
                attributes={"Content-Type": media_type} if isinstance(self._client, S3Store) else None,
                use_multipart=False,
            )
            if place.signed_url_s is not None and isinstance(self._client, S3Store):
                holds = timedelta(seconds=place.signed_url_s)
                return await obstore.sign_async(self._client, "GET", name, holds)
        except (BaseError, OSError, ValueError) as error:
            raise NotStored(first_line(error)) from error
        return f"{place.public_url}/{name}"


def _connected(place: StoragePlace) -> "Client":
    """See `connect`.

    Raises:
        NotStored: the place cannot be.
    """
    from obstore.exceptions import BaseError

    try:
        return connect(place)
    except (BaseError, OSError, ValueError) as error:
        raise NotStored(first_line(error)) from error


def connect(
    place: StoragePlace,
    *,
    attempt_s: float | None = None,
    tries_for_s: float | None = None,
    pause_s: float = _LONGEST_PAUSE_S,
) -> "Client":
    """A client of a place; nobody is asked anything yet. Blocks: it imports a library, and reads what the machine says.

    Args:
        attempt_s: for one attempt; by default the place's `timeout_s`.
        tries_for_s: no attempt begins later than this; by default the place's `timeout_s`.
        pause_s: the longest between two attempts.

    Raises:
        BaseError of obstore, OSError, ValueError: the place cannot be.
    """
    from obstore.store import LocalStore, S3Store

    if place.folder is not None:
        return LocalStore(place.folder, mkdir=True)
    config: S3Config = {"region": place.region}
    if place.endpoint is not None:
        config["endpoint"] = place.endpoint
    if place.access_key is not None:
        config["access_key_id"] = place.access_key
    if place.secret_key is not None:
        config["secret_access_key"] = place.secret_key
    # MinIO and its like have one host name for all buckets.
    config["virtual_hosted_style_request"] = place.endpoint is None
    attempt = timedelta(seconds=attempt_s or place.timeout_s)
    return S3Store(
        place.bucket,
        config=config,
        client_options={"allow_http": (place.endpoint or "").startswith("http://"), "timeout": attempt},
        retry_config={
            "max_retries": _MOST_RETRIES,
            "retry_timeout": timedelta(seconds=tries_for_s or place.timeout_s),
            "backoff": {
                "init_backoff": _FIRST_PAUSE,
                "max_backoff": max(_FIRST_PAUSE, timedelta(seconds=pause_s)),
                "base": 2,
            },
        },
    )


def first_line(error: Exception) -> str:
    """What it is; the lines after it are the library's own state."""
    return str(error).partition("\n")[0][:500]
