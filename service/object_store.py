"""Puts files where others can fetch them: into a bucket, or a folder. Whole, or not at all."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import anyio.to_thread

from service.storage import StoragePlace

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Config, S3Store

    Client: TypeAlias = S3Store | LocalStore

_FIRST_PAUSE: Final = timedelta(milliseconds=200)
_LONGEST_PAUSE: Final = timedelta(seconds=5)
_MOST_RETRIES: Final = 20
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
            self._client = await anyio.to_thread.run_sync(_connect, self._place)
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
            raise NotStored(_first_line(error)) from error
        return f"{place.public_url}/{name}"


def _connect(place: StoragePlace) -> "Client":
    """Blocks: it imports a library, and reads what the machine says of itself.

    Raises:
        NotStored: the place cannot be.
    """
    from obstore.exceptions import BaseError

    try:
        return _client(place)
    except (BaseError, OSError, ValueError) as error:
        raise NotStored(_first_line(error)) from error


def _client(place: StoragePlace) -> "Client":
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
    whole = timedelta(seconds=place.timeout_s)
    return S3Store(
        place.bucket,
        config=config,
        client_options={"allow_http": (place.endpoint or "").startswith("http://"), "timeout": whole},
        retry_config={
            "max_retries": _MOST_RETRIES,
            "retry_timeout": whole,
            "backoff": {"init_backoff": _FIRST_PAUSE, "max_backoff": _LONGEST_PAUSE, "base": 2},
        },
    )


def _first_line(error: Exception) -> str:
    """What it is; the lines after it are the library's own state."""
    return str(error).partition("\n")[0][:500]
