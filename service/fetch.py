"""Input pictures by URL, onto the disk: the only place where a client makes the server fetch a picture."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from protocol.errors import ErrorCode, ProtocolError
from service.outbound import Outbound, Refused, Resolve, only, resolve_with_system
from service.settings import Settings

if TYPE_CHECKING:
    import httpx

_WRITE_BYTES: Final = 1 << 20
_ACCEPT: Final = "image/png, image/jpeg, image/webp, image/*;q=0.8"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched. The content type is the sender's word, not a finding; None if it sent none."""

    content_type: str | None
    path: Path
    size_bytes: int


class Fetcher:
    """Fetches pictures within the limits of the settings: ports, addresses, redirects, size and time.

    Args:
        settings: `fetch_*`, `allow_private_urls` and `max_upload_bytes` are read.
        resolve: host names to addresses.
    """

    def __init__(self, settings: Settings, *, resolve: Resolve = resolve_with_system) -> None:
        self._settings = settings
        self._outbound = Outbound(
            allow_private=settings.allow_private_urls, may_use_port=only(settings.fetch_ports), resolve=resolve
        )

    async def fetch(self, url: str, destination: Path, *, at: str = "$.params.image") -> Fetched:
        """Write what `url` gives into `destination`, which is made or replaced, and removed again on failure.

        Args:
            url: as the client gave it.
            destination: where to; its folder exists.
            at: JSONPath of the URL in what the client sent, for messages.

        Raises:
            ProtocolError: `fetch_failed`, or `too_large` for a body above `max_upload_bytes`; names the field.
        """
        done = False
        try:
            async with asyncio.timeout(self._settings.fetch_timeout_s):
                with destination.open("wb") as file:
                    content_type, size_bytes = await self._follow(url, file, at)
            done = True
        except Refused as refusal:
            raise _failed(str(refusal), at) from None
        except TimeoutError:
            limit_s = self._settings.fetch_timeout_s
            raise _failed(f"it took longer than {limit_s:g} s", at) from None
        finally:
            if not done:
                destination.unlink(missing_ok=True)  # noqa: ASYNC240 - one quick call, also when cancelled
        return Fetched(content_type, destination, size_bytes)

    async def aclose(self) -> None:
        await self._outbound.aclose()

    async def _follow(self, url: str, file: BinaryIO, at: str) -> tuple[str | None, int]:
        settings = self._settings
        async with self._outbound.get(
            url,
            headers={"Accept": _ACCEPT},
            timeout_s=settings.fetch_timeout_s,
            max_redirects=settings.fetch_max_redirects,
        ) as response:
            _check_answer(response)
            return response.headers.get("content-type"), await self._save(response, file, at)

    async def _save(self, response: "httpx.Response", file: BinaryIO, at: str) -> int:
        limit = self._settings.max_upload_bytes
        if int(response.headers.get("content-length", "0")) > limit:
            raise _too_large(limit, at)
        size_bytes = 0
        waiting = bytearray()
        async for chunk in response.aiter_raw():
            size_bytes += len(chunk)
            if size_bytes > limit:
                raise _too_large(limit, at)
            waiting += chunk
            if len(waiting) >= _WRITE_BYTES:
                await asyncio.to_thread(file.write, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(file.write, bytes(waiting))
        return size_bytes


def _check_answer(response: "httpx.Response") -> None:
    if response.status_code != 200:
        raise Refused(f"its server answered with status {response.status_code}")
    if not response.headers.get("content-length", "0").isdecimal():
        raise Refused("its server sent a wrong content-length")


def _failed(reason: str, at: str) -> ProtocolError:
    return ProtocolError(ErrorCode.FETCH_FAILED, f"{_name(at)}: could not be fetched: {reason} at {at}", at)


def _too_large(limit: int, at: str) -> ProtocolError:
    return ProtocolError(
        ErrorCode.TOO_LARGE, f"{_name(at)}: expected a file of at most {limit} bytes, got more at {at}", at
    )


def _name(at: str) -> str:
    return at.rsplit(".", 1)[-1]
