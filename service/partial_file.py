"""A file on its way: what has arrived of it, and what is needed to go on where it broke off.

`NAME.part` holds what has arrived, `NAME.part.json` from where. The URL is kept as its hash: it may hold a key.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where what has arrived came from.

    Attributes:
        url_sha256: of the URL that was asked for.
        validator: what its server calls this version: a strong `ETag` or a `Last-Modified`; None if it said nothing.
    """

    url_sha256: str
    validator: str | None

    @classmethod
    def of(cls, url: str, validator: str | None) -> Self:
        return cls(url_sha256=hashlib.sha256(url.encode()).hexdigest(), validator=validator)

    def is_of(self, url: str) -> bool:
        return self.url_sha256 == hashlib.sha256(url.encode()).hexdigest()


class PartialFile:
    """What has arrived of the file that will be `target`. All methods may block."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._notes = target.with_name(f"{target.name}.part.json")

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def origin(self) -> Origin | None:
        """Where it came from; None if nothing has arrived, or its notes are lost."""
        try:
            parsed = json.loads(self._notes.read_bytes())
        except (OSError, ValueError):
            return None
        match parsed:
            case {"url_sha256": str(url), "validator": str() | None as validator}:
                return Origin(url_sha256=url, validator=validator)
        return None

    def begin(self, origin: Origin) -> None:
        """Forget what has arrived, and note where the next bytes come from.

        Raises:
            OSError: the folder cannot be made or written.
        """
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self.discard()
        self._notes.write_text(json.dumps(asdict(origin)), "ascii")

    def append(self, block: bytes) -> None:
        """Add what has arrived next; an empty file is a file.

        Raises:
            OSError: it cannot be written.
        """
        with self.path.open("ab") as file:
            file.write(block)

    def sha256(self) -> str:
        """Of what has arrived."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def finish(self) -> None:
        """Give the file its name."""
        self.path.replace(self.target)
        self._notes.unlink(missing_ok=True)

    def discard(self) -> None:
        """Forget what has arrived."""
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)
