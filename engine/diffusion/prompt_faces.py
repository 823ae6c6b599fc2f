"""Faces in pictures that are taken for prompts."""

from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.images import Floats, from_uint8, to_uint8
from engine.interface import Call, RunContext
from engine.models.residency import Residency
from engine.steps import twice
from protocol.guides import ImagePromptRef, Shown

if TYPE_CHECKING:
    from engine.describing.faces import FaceFinder

_FACE_FINDER: Final = "centerface"


def faces_taken(
    refs: Sequence[ImagePromptRef], pictures: Sequence[Floats], residency: Residency, context: RunContext
) -> Generator[Call, Any, list[Floats]]:
    """The pictures, and of those whose face is wanted that. Use with `yield from`. Finding is a device call.

    Raises:
        EngineError: `model_missing`: what finds faces is not there.

    Warns:
        face_not_found: there is none, or none large enough; all of the picture is taken.
    """
    taken = list(pictures)
    for number, ref in enumerate(refs):
        if ref.kind is not Shown.FACE:
            continue
        finder = yield from residency.use(_FACE_FINDER, _load_finder)
        face: Floats | None = yield from twice(Call(partial(_face_in, finder, taken[number]), stage="find"))
        if face is None:
            message = f"image_prompts[{number}]: no face was found in the picture; all of it is taken"
            context.warn("face_not_found", message)
        else:
            taken[number] = face
    return taken


def _face_in(finder: "FaceFinder", picture: Floats) -> Floats | None:
    """The largest face, upright in its square: (512, 512, 3); None if none is large enough or fits it."""
    from engine.plugins import alignment

    image = to_uint8(picture)
    found = sorted(finder.find_with_points(image), key=lambda each: -each.face.width * each.face.height)
    for each in found:
        matrix = alignment.placement(each.points) if alignment.is_large_enough(each.points) else None
        if matrix is not None:
            return from_uint8(alignment.take_out(image, matrix))
    return None


def _load_finder(path: Path, _device: str) -> "FaceFinder":
    from engine.describing.faces import FaceFinder

    return FaceFinder(path)
