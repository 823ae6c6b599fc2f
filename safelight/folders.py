"""Which pictures a batch works on, which mask belongs to each, where the result goes, and what is there already."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from protocol.params import OutputFormat

_SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pnm"),
}
"""Pillow's name of each format that the server writes -> the suffixes its files have; the first is the usual one."""
_READ_ONLY: Final = (".pgm", ".pbm", ".ico", ".jp2", ".tga")
_PICTURES: Final = frozenset(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes) | set(_READ_ONLY)
_OTHERS: Final = "JPEG"
"""What the server writes for pictures of formats that it only reads."""


class FolderProblem(ValueError):
    """A folder or file on the command line cannot be worked with; the message says what is expected."""


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a batch.

    Attributes:
        mask: None if regions are worked on.
        target: the file of the result.
    """

    picture: Path
    mask: Path | None
    target: Path

    @property
    def name(self) -> str:
        return self.picture.name


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to do.

    Attributes:
        items: to be worked on, in the order of their names.
        present: whose results are there already.
        unmasked: pictures for which there is no mask.
    """

    items: tuple[Item, ...]
    present: tuple[Item, ...]
    unmasked: tuple[Path, ...]


def make_plan(
    image: Path,
    mask: Path | None,
    output: Path,
    *,
    output_format: OutputFormat = OutputFormat.SOURCE,
    overwrites: bool = False,
) -> Plan:
    """Look at the folders; nothing is written. Reads the first bytes of every picture.

    A result is called as its picture, with another suffix only where the file is of another format. If two would be
    called the same, those after the first keep the suffix of their picture before their own: `a.jpg.png`.

    Args:
        image: a file, or a folder; folders in it are not looked into.
        mask: a file, for all; or a folder, in which masks are called as their pictures, whatever their suffix. None if
            none is needed.
        output: a folder, which need not exist; for a single picture perhaps the file itself.
        overwrites: work on pictures again whose results are there.

    Raises:
        FolderProblem: there is no such file, no picture, or the results would replace the pictures.
    """
    pictures = tuple(_pictures(image))
    masks = None if mask is None else _masks(mask)
    if image.is_file() and is_picture_name(output) and not output.is_dir():
        targets = {pictures[0]: _named(pictures[0], output, output_format)}
    else:
        targets = _targets(pictures, output, output_format)
    _check_targets(pictures, targets)
    items: list[Item] = []
    present: list[Item] = []
    unmasked: list[Path] = []
    for picture in pictures:
        own_mask = None if masks is None else masks.of(picture)
        if masks is not None and own_mask is None:
            unmasked.append(picture)
            continue
        item = Item(picture, own_mask, targets[picture])
        is_there = not overwrites and item.target.is_file()
        (present if is_there else items).append(item)
    return Plan(tuple(items), tuple(present), tuple(unmasked))


def is_picture_name(path: Path) -> bool:
    """Whether a file is a picture by its name."""
    return path.suffix.lower() in _PICTURES


def format_named(path: Path) -> OutputFormat:
    """The format that a file's name asks for; `source` where that is none of those that can be asked for."""
    suffix = path.suffix.lower()
    for chosen in (OutputFormat.PNG, OutputFormat.JPEG, OutputFormat.WEBP):
        if suffix in _SUFFIXES[chosen.value.upper()]:
            return chosen
    return OutputFormat.SOURCE


@dataclass(frozen=True, slots=True)
class _Masks:
    for_all: Path | None
    by_stem: Mapping[str, Path]

    def of(self, picture: Path) -> Path | None:
        return self.for_all or self.by_stem.get(picture.stem)


def _masks(mask: Path) -> _Masks:
    if mask.is_dir():
        # Of several with one stem the PNG counts: no other is a mask without losses by habit.
        found = sorted(_in_folder(mask), key=lambda path: (path.suffix.lower() != ".png", path.name), reverse=True)
        return _Masks(None, {path.stem: path for path in found})
    if not mask.is_file():
        raise FolderProblem(f"--mask: expected a picture or a folder, there is no {mask}")
    return _Masks(mask, {})


def _pictures(image: Path) -> Iterator[Path]:
    if image.is_file():
        yield image
        return
    if not image.is_dir():
        raise FolderProblem(f"--image: expected a picture or a folder, there is no {image}")
    found = _in_folder(image)
    if not found:
        raise FolderProblem(f"--image: there are no pictures in {image}")
    yield from found


def _in_folder(folder: Path) -> list[Path]:
    # Hidden files are those of file managers, and ours while they are being written.
    return sorted(
        path for path in folder.iterdir() if is_picture_name(path) and not path.name.startswith(".") and path.is_file()
    )


def _targets(pictures: tuple[Path, ...], output: Path, output_format: OutputFormat) -> dict[Path, Path]:
    if output.exists() and not output.is_dir():
        raise FolderProblem(f"--output: expected a folder, {output} is a file")
    targets: dict[Path, Path] = {}
    taken: set[str] = set()
    for picture in pictures:
        suffixes = _suffixes(picture, output_format)
        name = picture.name if picture.suffix.lower() in suffixes else f"{picture.stem}{suffixes[0]}"
        if name.casefold() in taken:
            name = f"{picture.name}{suffixes[0]}"
        taken.add(name.casefold())
        targets[picture] = output / name
    return targets


def _named(picture: Path, output: Path, output_format: OutputFormat) -> Path:
    suffixes = _suffixes(picture, output_format)
    if output.suffix.lower() not in suffixes:
        raise FolderProblem(f"--output: expected a folder, or a name that ends with {suffixes[0]}, got {output}")
    return output


def _suffixes(picture: Path, output_format: OutputFormat) -> tuple[str, ...]:
    """Of the file that the result will be."""
    kind = _kind_of(picture) if output_format is OutputFormat.SOURCE else output_format.value.upper()
    return _SUFFIXES[kind]


def _kind_of(picture: Path) -> str:
    """What the server writes in the format of this picture, by its content; of what is no picture, by its name."""
    try:
        with Image.open(picture) as image:
            kind = "JPEG" if image.format == "MPO" else str(image.format)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        kind = next((kind for kind, suffixes in _SUFFIXES.items() if picture.suffix.lower() in suffixes), _OTHERS)
    return kind if kind in _SUFFIXES else _OTHERS


def _check_targets(pictures: tuple[Path, ...], targets: Mapping[Path, Path]) -> None:
    own = {os.path.realpath(picture) for picture in pictures}
    for target in targets.values():
        if os.path.realpath(target) in own:
            raise FolderProblem(f"--output: {target} is one of the pictures; give another folder")
