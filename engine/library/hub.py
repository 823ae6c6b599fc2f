"""The Hugging Face cache: which snapshot of a repository counts, and whether it is whole.

    models--ORG--NAME/
      refs/main               the revision that `main` meant when it was fetched last
      snapshots/REVISION/     the files, as links into blobs/ (as files where links cannot be made)
      blobs/                  the contents; `.incomplete` while they are fetched

A file of a snapshot may lead into the `blobs` of its own repository and nowhere else.

Source: the description of the cache in the documentation of huggingface_hub, 2.4.
"""

import os
import re
from pathlib import Path
from typing import Final

_PREFIX: Final = "models--"
_REVISION: Final = re.compile(r"[0-9A-Za-z._-]{1,128}")
_MAX_REF_BYTES: Final = 256
_MAX_DEPTH: Final = 4


class Unusable(Exception):
    """A repository of which nothing can be used; the message says why."""


def is_cache(path: Path) -> bool:
    """Whether the folder holds repositories."""
    try:
        with os.scandir(path) as entries:
            return any(is_repository(entry.name) for entry in entries)
    except OSError:
        return False


def is_repository(folder_name: str) -> bool:
    """Whether a folder of that name is a repository of a model."""
    return folder_name.startswith(_PREFIX) and len(folder_name) > len(_PREFIX)


def folder_name(repository: str) -> str:
    """What the folder of `ORG/NAME` is called."""
    return _PREFIX + repository.replace("/", "--")


def repository_name(folder_name: str) -> str:
    """`ORG/NAME`, or `NAME` where there is no organisation."""
    return folder_name.removeprefix(_PREFIX).replace("--", "/")


def snapshot_of(repository: Path) -> Path:
    """The snapshot that `main` means; without that reference, the newest.

    Raises:
        Unusable: there is none, or a file of it is missing or lies outside of the repository.
    """
    snapshots = repository / "snapshots"
    try:
        revision = _main(repository)
        if revision is None:
            found = [path for path in snapshots.iterdir() if path.is_dir() and not path.is_symlink()]
            snapshot = max(found, key=lambda path: path.stat().st_mtime, default=None)
        else:
            snapshot = snapshots / revision
        if snapshot is None or not snapshot.is_dir():
            raise Unusable("no snapshot of it is there")
        if not snapshot.resolve().is_relative_to(snapshots.resolve()):
            raise Unusable("its snapshot lies outside of the repository")
        _check_links(snapshot, (repository / "blobs").resolve(), _MAX_DEPTH)
    except (OSError, RuntimeError) as error:  # pathlib tells of a ring of links by a RuntimeError
        raise Unusable(f"it cannot be read: {type(error).__name__}") from None
    return snapshot


def _main(repository: Path) -> str | None:
    reference = repository / "refs" / "main"
    if not reference.is_file():
        return None
    with reference.open("rb") as file:
        text = file.read(_MAX_REF_BYTES).decode("ascii", "replace").strip()
    if not _REVISION.fullmatch(text) or text.strip(".") == "":
        raise Unusable("its reference to `main` is damaged")
    return text


def _check_links(folder: Path, blobs: Path, depth: int) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                target = Path(entry.path).resolve()
                if not target.is_relative_to(blobs):
                    raise Unusable(f"its file {entry.name!r} leads out of the repository")
                if not target.is_file():
                    raise Unusable(f"its file {entry.name!r} is not there yet")
            elif depth > 1 and entry.is_dir():
                _check_links(Path(entry.path), blobs, depth - 1)
