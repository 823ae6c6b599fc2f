"""SHA-256 of model files, computed once and remembered as long as size and time of the file stay the same."""

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypedDict

import structlog

from engine.library.folders import BadFolder, denoiser_weights
from engine.library.records import FoundModel

_FILE_NAME: Final = "hashes.json"
_CHUNK_BYTES: Final = 1 << 20

logger = structlog.get_logger(__name__)


class _Entry(TypedDict):
    """What the file holds per path."""

    stamp: str
    sha256: str


@dataclass(frozen=True, slots=True)
class _Stamped:
    """The first of a model's files, and what changes when any of them is written."""

    path: str
    stamp: str


class HashCache:
    """Hashes of model files, kept in one JSON file. Any thread may call anything.

    Args:
        folder: where that file lies; made when there is something to write. Losing it costs time only.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE_NAME
        self._state = threading.Lock()
        self._reading = threading.Lock()
        self._known: dict[str, _Entry] | None = None

    def known(self, model: FoundModel) -> str | None:
        """The hash if it was computed before and the file has not changed since. Reads no weights, waits for none."""
        try:
            return self._remembered(_stamped(_files(model)))
        except (OSError, BadFolder):
            return None

    def sha256(self, model: FoundModel) -> str:
        """The hash of the file; of a folder, of its denoiser's weights, piece after piece where they are in pieces.

        Reads the whole file the first time (about a second per gigabyte from a fast disk), so not on the executor
        thread; one file at a time, since two would share the disk.

        Raises:
            OSError: it cannot be read.
            BadFolder: a folder without weights.
        """
        files = _files(model)
        with self._reading:
            stamped = _stamped(files)
            found = self._remembered(stamped) or self._learnt(stamped)
            if found is not None:
                return found
            digest = _digest(files)
            # Under the stamp from before: if it was written to meanwhile, the next caller reads it again.
            self._remember(stamped, digest)
            return digest

    def note(self, model: FoundModel, sha256: str) -> None:
        """Take in the hash of a file that was computed on its way here."""
        try:
            self._remember(_stamped(_files(model)), sha256.lower())
        except (OSError, BadFolder):
            return  # it has gone again

    def _remembered(self, stamped: _Stamped) -> str | None:
        with self._state:
            entry = self._table().get(stamped.path)
        return entry["sha256"] if entry is not None and entry["stamp"] == stamped.stamp else None

    def _learnt(self, stamped: _Stamped) -> str | None:
        """As `_remembered`, of what others have written to the file meanwhile."""
        with self._state:
            self._known = {**_read(self._path), **self._table()}
        return self._remembered(stamped)

    def _remember(self, stamped: _Stamped, sha256: str) -> None:
        with self._state:
            # There may be several of these on one file.
            table = self._known = {**_read(self._path), **self._table()}
            table[stamped.path] = _Entry(stamp=stamped.stamp, sha256=sha256)
            try:
                _write(self._path, table)
            except OSError as error:
                logger.warning("library.hashes_not_written", error=error.strerror)

    def _table(self) -> dict[str, _Entry]:
        if self._known is None:
            self._known = _read(self._path)
        return self._known


def _files(model: FoundModel) -> Sequence[Path]:
    return denoiser_weights(model.path) if model.is_folder else (model.path,)


def _stamped(files: Sequence[Path]) -> _Stamped:
    stats = [path.stat() for path in files]
    stamp = ",".join(f"{stat.st_size}:{stat.st_mtime_ns}" for stat in stats)
    return _Stamped(os.fspath(files[0]), stamp)


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    for path in files:
        with path.open("rb", buffering=0) as file:
            while size := file.readinto(buffer):
                digest.update(buffer[:size])
    return digest.hexdigest()


def _read(path: Path) -> dict[str, _Entry]:
    try:
        parsed = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        logger.warning("library.hashes_unreadable", error=type(error).__name__)
        return {}
    found: dict[str, _Entry] = {}
    for key, value in parsed.items() if isinstance(parsed, dict) else ():
        match value:
            case {"stamp": str(stamp), "sha256": str(sha256)}:
                found[key] = _Entry(stamp=stamp, sha256=sha256)
    return found


def _write(path: Path, table: Mapping[str, _Entry]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            json.dump(table, file, indent=0)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
