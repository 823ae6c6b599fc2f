"""What a picture's file says of how the picture was made. No pixel is decoded."""

import io
from typing import TYPE_CHECKING, Final

from protocol.errors import ErrorCode, ProtocolError
from protocol.recipes.a1111 import read_a1111
from protocol.recipes.fooocus import read_fooocus
from protocol.recipes.recipe import PictureRecipe, RecipeScheme
from service.probe import ACCEPTED, open_header

if TYPE_CHECKING:
    from PIL import Image

_PARAMETERS: Final = "parameters"
_EXIF_BLOCK: Final = 0x8769
_USER_COMMENT: Final = 0x9286
_MOST_TEXT: Final = 1 << 20
_PREFIX_BYTES: Final = 8
_ENCODINGS: Final = {b"ASCII\x00\x00\x00": "latin-1", b"\x00" * _PREFIX_BYTES: "utf-8"}
_UNICODE: Final = b"UNICODE\x00"
_ASCII: Final = frozenset(range(128))


def read_recipe(content: bytes, *, at: str = "$.body") -> PictureRecipe:
    """Read it from a picture file of either scheme: the text `parameters` of a PNG, the user comment of an EXIF block.

    Blocks. Damaged metadata says nothing.

    Args:
        at: JSONPath of the picture in what the client sent, for messages.

    Raises:
        ProtocolError: `bad_image`: it is no picture.
    """
    written = recipe_text(content)
    if written is None:
        raise ProtocolError(ErrorCode.BAD_IMAGE, f"image: expected {ACCEPTED}, got something else at {at}", at)
    written = written[:_MOST_TEXT]
    readers = {RecipeScheme.FOOOCUS: read_fooocus, RecipeScheme.A1111: read_a1111}
    for scheme, read in readers.items():
        recipe = read(written)
        if recipe is not None:
            return PictureRecipe(scheme=scheme, text=written, recipe=recipe)
    return PictureRecipe(text=written or None)


def recipe_text(content: bytes) -> str | None:
    """The text itself, in whatever words; `""` where a picture carries none, and None for what is no picture."""
    try:
        image = open_header(io.BytesIO(content))
    except Exception:  # noqa: BLE001 - a reader fed with garbage raises whatever it likes
        return None
    if image is None:
        return None
    with image:
        text = image.info.get(_PARAMETERS)
        return text if isinstance(text, str) else _exif_text(image)


def _exif_text(image: "Image.Image") -> str:
    from PIL import Image

    try:
        # Not the method of the PNG reader, which decodes all of a picture whose header says nothing of it.
        exif = Image.Image.getexif(image)
        comments = [exif.get_ifd(_EXIF_BLOCK).get(_USER_COMMENT), exif.get(_USER_COMMENT)]
    except Exception:  # noqa: BLE001 - a damaged block raises whatever it likes
        return ""
    return next((text for comment in comments if (text := _decoded(comment))), "")


def _decoded(comment: object) -> str:
    """A user comment: text, or bytes behind eight that say how they are encoded.

    Source: Exif 2.32, tag 0x9286. Programs disagree on the byte order of UNICODE: of the two readings the one with
    more plain letters is taken.
    """
    if isinstance(comment, str):
        return comment
    if not isinstance(comment, bytes):
        return ""
    prefix, rest = comment[:_PREFIX_BYTES], comment[_PREFIX_BYTES:]
    if prefix == _UNICODE:
        readings = [rest.decode(encoding, "replace") for encoding in ("utf-16-be", "utf-16-le")]
        return max(readings, key=lambda text: sum(ord(letter) in _ASCII for letter in text)).strip("\x00\ufeff")
    encoding = _ENCODINGS.get(prefix)
    return (comment if encoding is None else rest).decode(encoding or "utf-8", "replace").strip("\x00")
