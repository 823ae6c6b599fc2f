"""`__name__` in a prompt: a line of the file `name.txt` stands in its place.

Files lie in the folders of the server, at any depth below them, one entry a line; a file of the user's stands before a
packaged one of the same name. `__birds/sea__` names `birds/sea.txt`. Lines may name wildcards again.

Source of the syntax: Fooocus' wildcards.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from random import Random
from typing import Final

Warn = Callable[[str, str], None]

PACKAGED_DIR: Final = Path(__file__).parent / "wildcards"
MAX_ROUNDS: Final = 64
"""Of one text: lines that name wildcards are gone through anew so often."""
MAX_CHARACTERS: Final = 20_000
"""Of the text that comes out: lines that name wildcards can double it each round."""
_MAX_LINE_CHARACTERS: Final = 2_000
_MAX_FILE_BYTES: Final = 4 << 20
_MAX_FILES: Final = 20_000
"""Per folder: a link to the top of a disk must not have all of it looked through."""

_WILDCARD: Final = re.compile(r"__([\w-]+?(?:/[\w-]+?)*)__")


class Wildcards:
    """The wildcard files there are at one moment. Making it and reading a file block; for one thread at a time.

    Args:
        folders: of the user's, the first first; one that is not there holds no files.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._paths = _paths((*folders, PACKAGED_DIR))
        self._known: dict[str, Sequence[str]] = {}

    @property
    def names(self) -> Sequence[str]:
        """All that can be named, sorted; a file in a subfolder with and without it."""
        return sorted(self._paths)

    def lines(self, name: str) -> Sequence[str]:
        """The entries of a wildcard; none if there is no such file, or it cannot be read."""
        if name not in self._known:
            path = self._paths.get(name)
            self._known[name] = () if path is None else _read(path)
        return self._known[name]


def fill_wildcards(text: str, wildcards: Wildcards, lots: Random, *, at: int | None = None, warn: Warn) -> str:
    """The text with a line in the place of each wildcard; a wildcard without a file becomes its bare name.

    Args:
        lots: draws the lines, in the order of the wildcards.
        at: take the line of this number instead, counted round.
        warn: told of `wildcard_missing` and `wildcards_cut`.
    """

    def line(match: re.Match[str]) -> str:
        name = match[1]
        lines = wildcards.lines(name)
        if not lines:
            warn("wildcard_missing", f"prompt: there is no wildcard {name[:80]!r}; its bare name stands in its place")
            return name
        return lots.choice(lines) if at is None else lines[at % len(lines)]

    for _ in range(MAX_ROUNDS):
        if _WILDCARD.search(text) is None:
            return text
        text = _WILDCARD.sub(line, text)
        if len(text) > MAX_CHARACTERS:
            warn("wildcards_cut", f"prompt: its wildcards make it longer than {MAX_CHARACTERS} characters; it is cut")
            return text[:MAX_CHARACTERS]
    if _WILDCARD.search(text):
        warn("wildcards_cut", f"prompt: its wildcards name wildcards again and again; {MAX_ROUNDS} rounds are made")
    return text


def _paths(folders: Sequence[Path]) -> Mapping[str, Path]:
    """Every name -> its file. The whole path within a folder stands before a part of it, a folder before the next."""
    paths: dict[str, Path] = {}
    for folder in folders:
        relatives = sorted(_within(folder))
        for relative in relatives:
            paths.setdefault(str(relative.with_suffix("")), folder / relative)
        for relative in relatives:
            parts = relative.with_suffix("").parts
            for start in range(1, len(parts)):
                paths.setdefault("/".join(parts[start:]), folder / relative)
    return paths


def _within(folder: Path) -> Iterator[PurePosixPath]:
    try:
        for path in islice(folder.rglob("*.txt"), _MAX_FILES):
            yield PurePosixPath(path.relative_to(folder).as_posix())
    except OSError:  # it has gone, or cannot be read: it holds no more
        return


def _read(path: Path) -> Sequence[str]:
    try:
        if not path.is_file() or path.stat().st_size > _MAX_FILE_BYTES:
            return ()
        text = path.read_text("utf-8-sig", "replace")
    except OSError:
        return ()
    return [line.strip()[:_MAX_LINE_CHARACTERS] for line in text.splitlines() if line.strip()]
