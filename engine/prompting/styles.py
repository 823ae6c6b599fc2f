"""The styles there are: words that are put around a prompt, in files of the form Fooocus has them in.

    [{"name": "Old Film", "prompt": "film still of {prompt}, grain", "negative_prompt": "digital"}, ...]

`{prompt}` stands for the prompt; a template without it is a text beside the prompt. A style in the user's files stands
before a packaged one of the same name. Names are the same whatever the case of their letters, and with `-` for blanks.

Source of the format: Fooocus' `sdxl_styles`.
"""

import difflib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from protocol.prompting import EXPANSION_STYLE, RANDOM_STYLE, StyleInfo

PACKAGED_DIR: Final = Path(__file__).parent / "styles"
PLACEHOLDER: Final = "{prompt}"
_MAX_FILE_BYTES: Final = 8 << 20
_MAX_TEMPLATE_CHARACTERS: Final = 20_000
_MAX_NAME_CHARACTERS: Final = 200
_SHOWN_NAMES: Final = 3
_PACKAGED_ORDER: Final = ("fooocus", "sai", "mre", "twri", "diva", "marc_k3nt3l")
"""Words in the names of files, in the order in which users of Fooocus know the styles; other files come after."""
_CAPITALS: Final = {"3d": "3D", "sai": "SAI", "mre": "MRE"}
_BUILT_IN: Final = (
    StyleInfo(name=EXPANSION_STYLE, source="built_in"),
    StyleInfo(name=RANDOM_STYLE, source="built_in"),
)

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """One style.

    Attributes:
        prompt, negative_prompt: templates; lines of them are texts of their own where a prompt's lines are.
        source: `packaged`, or `files` of the user's.
    """

    name: str
    prompt: str = ""
    negative_prompt: str = ""
    source: str = "packaged"


class UnknownStyle(Exception):
    """There is no style of that name; the message names up to three that are close."""

    def __init__(self, name: str, close: Sequence[str]) -> None:
        hint = f"; close to it: {', '.join(map(repr, close))}" if close else ""
        super().__init__(f"there is no style {name[:80]!r}{hint}")


@dataclass(frozen=True, slots=True)
class Styles:
    """The styles there were at one look, in the order they are listed; names folded -> style."""

    by_key: Mapping[str, Style]

    def find(self, name: str) -> Style:
        """Raises UnknownStyle."""
        found = self.by_key.get(_key(name))
        if found is None:
            raise UnknownStyle(name, self.close_to(name))
        return found

    def close_to(self, name: str) -> Sequence[str]:
        """Names that it may have been meant for, the nearest first."""
        names = {_key(info.name): info.name for info in self.infos()}
        return [names[key] for key in difflib.get_close_matches(_key(name), names, _SHOWN_NAMES)]

    def check(self, name: str) -> None:
        """Raises UnknownStyle: it is no style, nor one of those without a template."""
        if not is_named(name, EXPANSION_STYLE) and not is_named(name, RANDOM_STYLE):
            self.find(name)

    def infos(self) -> Sequence[StyleInfo]:
        """All of them as clients see them, those without a template first."""
        return [
            *_BUILT_IN,
            *(
                StyleInfo(
                    name=style.name, source=style.source, prompt=style.prompt, negative_prompt=style.negative_prompt
                )
                for style in self.by_key.values()
            ),
        ]


class StyleBook:
    """The style files of a server. Any thread may call anything; it blocks.

    Args:
        folders: of the user's, the first first; one that is not there holds no styles.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = tuple(folders)
        self._read: dict[Path, tuple[tuple[int, int], Sequence[Style]]] = {}
        self._styles = Styles({})
        self._has_looked = False
        self._lock = threading.Lock()

    @property
    def known(self) -> Styles:
        """As of the last look, without another one; looks only if nobody has."""
        return self._styles if self._has_looked else self.look()

    def look(self) -> Styles:
        """Look at the disk. Files are read if they are new or changed; a bad one is passed by, and logged once."""
        with self._lock:
            packaged = {_key(style.name): style for style in self._within(PACKAGED_DIR, "packaged")}
            own: dict[str, Style] = {}
            for folder in self._folders:
                for style in self._within(folder, "files"):
                    own.setdefault(_key(style.name), style)
            self._styles = Styles({**packaged, **own})
            self._has_looked = True
            return self._styles

    def infos(self) -> Sequence[StyleInfo]:
        """All styles as clients see them. Looks at the disk."""
        return self.look().infos()

    def check(self, names: Sequence[str]) -> tuple[int, str] | None:
        """The number of the first of these that is no style, and what to say of it; None if all are.

        Looks at the disk for one that is not known.
        """
        problem = _first_unknown(self.known, names)
        return problem if problem is None else _first_unknown(self.look(), names)

    def _within(self, folder: Path, source: str) -> Iterator[Style]:
        try:
            paths = sorted(path for path in folder.glob("*.json") if path.is_file())
        except OSError:
            return
        for path in sorted(paths, key=_rank):
            yield from self._of_file(path, source)

    def _of_file(self, path: Path, source: str) -> Sequence[Style]:
        try:
            stat = path.stat()
            stamp = (stat.st_size, stat.st_mtime_ns)
            known = self._read.get(path)
            if known is None or known[0] != stamp:
                self._read[path] = (stamp, ())
                if stat.st_size > _MAX_FILE_BYTES:
                    raise ValueError(f"it has more than {_MAX_FILE_BYTES} bytes")
                self._read[path] = (stamp, tuple(_styles_in(orjson.loads(path.read_bytes()), source)))
        except (OSError, ValueError) as error:
            logger.warning("styles.skipped", path=str(path), reason=str(error))
            return ()
        return self._read[path][1]


def style_name(told: str) -> str:
    """A style's name as it is shown: words with a capital each, blanks between them; `sai-line art` is SAI Line Art."""
    words = told.replace("-", " ").split()
    return " ".join(_CAPITALS.get(word.casefold(), word[:1].upper() + word[1:].lower()) for word in words)


def is_named(name: str, style: str) -> bool:
    """Whether a name from outside means that style."""
    return _key(name) == _key(style)


def _key(name: str) -> str:
    return " ".join(name.casefold().replace("-", " ").replace("_", " ").split())


def _first_unknown(styles: Styles, names: Sequence[str]) -> tuple[int, str] | None:
    for number, name in enumerate(names):
        try:
            styles.check(name)
        except UnknownStyle as error:
            return number, str(error)
    return None


def _rank(path: Path) -> int:
    stem = path.stem.casefold()
    return next((at for at, word in enumerate(_PACKAGED_ORDER) if word in stem), len(_PACKAGED_ORDER))


def _styles_in(content: Any, source: str) -> Iterator[Style]:
    """The styles of a file; entries without a name are passed by, as are those named as one without a template.

    Raises:
        ValueError: it is no list.
    """
    if not isinstance(content, list):
        raise ValueError("it is no list of styles")
    for entry in content:
        told = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(told, str) or not _key(told) or len(told) > _MAX_NAME_CHARACTERS:
            continue
        if is_named(told, EXPANSION_STYLE) or is_named(told, RANDOM_STYLE):
            continue
        yield Style(
            name=style_name(told),
            prompt=_template(entry.get("prompt")),
            negative_prompt=_template(entry.get("negative_prompt")),
            source=source,
        )


def _template(told: object) -> str:
    return told[:_MAX_TEMPLATE_CHARACTERS] if isinstance(told, str) else ""
