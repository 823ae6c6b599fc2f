"""The files and folders below a folder that may be models, with what tells whether they changed.

Links to files and to folders are followed wherever they lead, since people keep their models on another disk; a
folder that was seen is not entered again, so rings of links end. In a repository of the Hugging Face cache links
may lead to its blobs only. Hidden entries, and what is not a regular file, are passed by.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias

from engine.library import hub
from engine.library.folders import CONFIG, INDEX
from engine.library.layouts import HINTS, ModelFolder
from engine.library.records import ModelKind

SAFETENSORS: Final = frozenset({".safetensors", ".sft"})
PICKLES: Final = frozenset({".ckpt", ".pt", ".pth", ".bin"})
EXTENSIONS: Final = SAFETENSORS | PICKLES
_PART_WEIGHTS: Final = ("model", "pytorch_model", "diffusion_pytorch_model")
_NO_MODELS: Final = frozenset(
    {"optimizer.pt", "optimizer.bin", "scheduler.pt", "scheduler.bin", "training_args.bin", "rng_state.pth"}
)
"""What trainers leave beside a model."""
_MAX_DEPTH: Final = 8
_MAX_ENTRIES: Final = 200_000
"""Per folder of a root: a link to the top of a disk must not have all of it read."""
_MAX_FOLDER_DEPTH: Final = 2

Signature: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""(relative path, size, modified in ns, inode) of each file: as long as it is equal, nothing changed."""
Skip: TypeAlias = Callable[[Path, str], None]
"""Told of what is passed by although it looks like a model, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What may be a model.

    Attributes:
        relative: its path within the folder walked, with slashes and without extension.
        hint: kind of the models in the folder it lies in, if that is known.
        is_in_repository: whether it lies in the Hugging Face cache; a folder there that is not whole is still coming.
        extension: of a file that has not got its own name yet; None takes the one it has.
    """

    path: Path
    relative: str
    hint: ModelKind | None
    is_folder: bool
    signature: Signature
    is_in_repository: bool = False
    extension: str | None = None

    @property
    def is_safetensors(self) -> bool:
        """Of a file, by its name: whether it is no pickle."""
        extension = self.path.suffix if self.extension is None else self.extension
        return extension.casefold() in SAFETENSORS

    @property
    def size_bytes(self) -> int:
        return sum(size for _, size, _, _ in self.signature)

    @property
    def modified_at(self) -> float:
        return max((modified_ns for _, _, modified_ns, _ in self.signature), default=0) / 1e9


class Walk:
    """One walk over all roots: what is reached twice is seen once.

    Args:
        skip: told of what is passed by.
    """

    def __init__(self, skip: Skip) -> None:
        self._skip = skip
        self._seen: set[tuple[int, int]] = set()
        self._left = 0

    def candidates(self, folder: ModelFolder, ignored: frozenset[str]) -> Iterator[Candidate]:
        """What may be a model below `folder`; nothing if it is not there.

        Args:
            ignored: names of what is none; see `layouts.Root`.
        """
        self._left = _MAX_ENTRIES
        if folder.path.is_dir():
            yield from self._within(folder, ignored, folder.path, PurePosixPath(), _MAX_DEPTH)

    def _within(
        self, folder: ModelFolder, ignored: frozenset[str], path: Path, relative: PurePosixPath, depth: int
    ) -> Iterator[Candidate]:
        entries = self._entries(path)
        names = {entry.name for entry in entries}
        hint = folder.kind or _hint(relative)
        is_part = False
        if (INDEX in names or CONFIG in names) and folder.only is None:
            name = str(relative) if relative.parts else path.name
            yield Candidate(path=path, relative=readable(name), hint=hint, is_folder=True, signature=_signature(path))
            is_part = True
            if INDEX in names:
                return
        for entry in entries:
            if entry.name in folder.apart and depth == _MAX_DEPTH:
                continue
            extension = os.path.splitext(entry.name)[1]  # noqa: PTH122  # `Path` would cost more than all the rest
            is_wanted = extension.casefold() in EXTENSIONS and entry.name not in _NO_MODELS
            if folder.only is not None:
                is_wanted = entry.name in folder.only
            elif entry.name in ignored or f"{path.name}/{entry.name}" in ignored:
                continue
            if is_wanted and not (is_part and entry.name.startswith(_PART_WEIGHTS)):
                yield from self._file(entry, relative, extension, hint)
            elif depth > 1 and folder.only is None and _is_folder(entry):
                if hub.is_repository(entry.name):
                    yield from self._repository(folder, ignored, Path(entry.path))
                else:
                    yield from self._within(folder, ignored, Path(entry.path), relative / entry.name, depth - 1)

    def _file(
        self, entry: os.DirEntry[str], relative: PurePosixPath, extension: str, hint: ModelKind | None
    ) -> Iterator[Candidate]:
        try:
            if not entry.is_file():
                return  # a folder, a pipe, or a link that leads nowhere
            stat = entry.stat()
        except OSError as error:
            self._skip(Path(entry.path), _reason(error))
            return
        name = readable(str(relative / entry.name.removesuffix(extension)))
        signature = (("", stat.st_size, stat.st_mtime_ns, stat.st_ino),)
        yield Candidate(path=Path(entry.path), relative=name, hint=hint, is_folder=False, signature=signature)

    def _repository(self, folder: ModelFolder, ignored: frozenset[str], repository: Path) -> Iterator[Candidate]:
        try:
            snapshot = hub.snapshot_of(repository)
        except hub.Unusable as error:
            self._skip(repository, str(error))
            return
        inside = ModelFolder(path=snapshot, kind=folder.kind)
        name = readable(hub.repository_name(repository.name))
        found = list(self._within(inside, ignored, snapshot, PurePosixPath(), _MAX_DEPTH))
        for candidate in found:
            is_all = len(found) == 1 or candidate.path == snapshot
            relative = name if is_all else f"{name}/{candidate.relative}"
            yield replace(candidate, relative=relative, is_in_repository=True)

    def _entries(self, path: Path) -> list[os.DirEntry[str]]:
        """What lies in a folder, by name; nothing if it was seen, cannot be read, or too much was seen already."""
        try:
            stat = path.stat()
            if (stat.st_dev, stat.st_ino) in self._seen:
                return []
            self._seen.add((stat.st_dev, stat.st_ino))
            with os.scandir(path) as entries:
                found = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
        except OSError as error:
            self._skip(path, _reason(error))
            return []
        if len(found) > self._left:
            self._skip(path, f"more than {_MAX_ENTRIES} entries below one folder")
            return []
        self._left -= len(found)
        return found


def readable(name: str) -> str:
    """A name as it can be shown and sent: what is not text or not printable becomes a replacement character."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _hint(relative: PurePosixPath) -> ModelKind | None:
    hints = (HINTS.get(part.casefold()) for part in reversed(relative.parts))
    return next((kind for kind in hints if kind is not None), None)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def signature_of(path: Path) -> Signature:
    """Of a model's file, or of all files of its folder; empty if there is nothing."""
    if path.is_dir():
        return _signature(path)
    try:
        stat = path.stat()
    except OSError:
        return ()
    return (("", stat.st_size, stat.st_mtime_ns, stat.st_ino),)


def _signature(folder: Path, depth: int = _MAX_FOLDER_DEPTH, above: str = "") -> Signature:
    found: list[tuple[str, int, int, int]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = above + entry.name
                if entry.is_file():
                    stat = entry.stat()
                    found.append((name, stat.st_size, stat.st_mtime_ns, stat.st_ino))
                elif depth > 1 and entry.is_dir():
                    found += _signature(Path(entry.path), depth - 1, f"{name}/")
    except OSError:
        return tuple(sorted(found))  # what it cannot read is told when the folder is looked into
    return tuple(sorted(found))


def _reason(error: OSError) -> str:
    return f"it cannot be read: {error.strerror or type(error).__name__}"
