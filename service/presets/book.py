"""The preset files there are: packaged, or in the server's folders.

A file is a preset of the name the file has without `.json`. One in the server's folders stands before a packaged one of
the same name, whatever the case of its letters.
"""

import difflib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from protocol.presets import PresetInfo
from service.presets.fooocus_file import PresetContents, contents_of

PACKAGED_DIR: Final = Path(__file__).parent / "packaged"
_MAX_FILE_BYTES: Final = 1 << 20
_MAX_NAME_CHARACTERS: Final = 200
_SHOWN_NAMES: Final = 3

_Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Preset:
    """One preset.

    Attributes:
        source: `packaged`, or `files` of the server's folders.
    """

    name: str
    source: str
    contents: PresetContents


class UnknownPreset(Exception):
    """There is no preset of that name; the message names up to three that are close."""

    def __init__(self, name: str, close: Sequence[str]) -> None:
        hint = f"; close to it: {', '.join(map(repr, close))}" if close else ""
        super().__init__(f"there is no preset {name[:80]!r}{hint}")


class PresetBook:
    """The presets of a server. Any thread may call anything; it blocks.

    Args:
        folders: of the server, the first first; one that is not there holds no presets.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = tuple(folders)
        self._read: dict[Path, tuple[_Stamp, PresetContents]] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> Preset:
        """The preset that `name` means, with or without `.json`. Looks at the disk.

        Raises:
            UnknownPreset: there is none, or it has gone.
        """
        presets = self._look()
        found = presets.get(_key(name))
        if found is None:
            names = {key: preset.name for key, preset in presets.items()}
            close = difflib.get_close_matches(_key(name), names, _SHOWN_NAMES)
            raise UnknownPreset(name, [names[key] for key in close])
        return found

    def infos(self) -> Sequence[PresetInfo]:
        """All presets as clients see them, by name. Looks at the disk."""
        return [
            PresetInfo(
                name=preset.name,
                source=preset.source,
                params=dict(preset.contents.params),
                models=tuple(preset.contents.models),
                unused=tuple(preset.contents.unused),
                problem=preset.contents.problem,
            )
            for _, preset in sorted(self._look().items())
        ]

    def _look(self) -> Mapping[str, Preset]:
        with self._lock:
            presets: dict[str, Preset] = {}
            for folder, source in (*((folder, "files") for folder in self._folders), (PACKAGED_DIR, "packaged")):
                for path in _files(folder):
                    presets.setdefault(_key(path.stem), Preset(path.stem, source, self._contents(path)))
            return presets

    def _contents(self, path: Path) -> PresetContents:
        """What a file says; read if it is new or changed."""
        try:
            stat = path.stat()
            stamp = (stat.st_size, stat.st_mtime_ns)
            known = self._read.get(path)
            if known is not None and known[0] == stamp:
                return known[1]
            if stat.st_size > _MAX_FILE_BYTES:
                return _unusable(f"its file has more than {_MAX_FILE_BYTES} bytes")
            parsed = orjson.loads(path.read_bytes())
        except OSError as error:
            return _unusable(f"its file cannot be read: {error.strerror or type(error).__name__}")
        except ValueError:
            return _unusable("its file is not JSON")
        if not isinstance(parsed, dict):
            return _unusable("its file is not a JSON object")
        contents = contents_of(parsed)
        self._read[path] = (stamp, contents)
        return contents


def _files(folder: Path) -> Iterator[Path]:
    try:
        found = sorted(path for path in folder.glob("*.json") if path.is_file())
    except OSError:
        return
    yield from (path for path in found if len(path.stem) <= _MAX_NAME_CHARACTERS)


def _unusable(problem: str) -> PresetContents:
    return PresetContents(params={}, problem=problem)


def _key(name: str) -> str:
    return name.strip().removesuffix(".json").casefold()
