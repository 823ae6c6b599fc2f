"""Published files that the engine needs, and who brings them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFile:
    """A published file that the engine needs.

    Attributes:
        url: where it is published.
        target: what it is to be called, once it is whole and right.
        md5: of its contents, 32 hexadecimal digits; "" checks nothing.
        size_bytes: an estimate.
    """

    url: str
    target: Path
    md5: str
    size_bytes: int


class DownloadFailed(Exception):
    """A file could not be had; the message says why, in words for a person."""


class Coming(Protocol):
    """Files on their way."""

    def wait(self, timeout_s: float) -> bool:
        """Whether they are all there; blocks for so long at most. From any thread but the event loop's.

        Raises:
            DownloadFailed: they will not be.
        """
        ...


class Downloader(Protocol):
    """Brings published files, and tells of it (`model.loading`, `model.added`, `model.failed`). From any thread."""

    def begin(self, model: str, files: Sequence[WantedFile]) -> Coming:
        """Begin to bring the files of a model, or find that under way. What has arrived before need not come again.

        Args:
            model: what the events call it.
        """
        ...
