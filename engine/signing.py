"""Has a picture's file say what the picture was made with."""

from collections.abc import Callable
from typing import Final

from engine.images import Picture, written_as
from engine.origin import Origin, signed
from protocol.finishing import MetadataScheme
from protocol.params import OutputFormat
from protocol.recipes.a1111 import write_a1111
from protocol.recipes.fooocus import write_fooocus
from protocol.recipes.recipe import Recipe
from protocol.version import SOFTWARE_VERSION

SOFTWARE: Final = f"Safelight {SOFTWARE_VERSION}"
_WRITERS: Final = {MetadataScheme.A1111: write_a1111, MetadataScheme.FOOOCUS: write_fooocus}


def sign(
    picture: Picture, recipe: Recipe, scheme: MetadataScheme, wanted: OutputFormat, warn: Callable[[str, str], None]
) -> Picture:
    """The picture, and the recipe in what a file written from it says beside its pixels. On the side pool.

    Args:
        scheme: any but none.
        wanted: the format of the file.
        warn: told of `metadata_unused`, where the picture is given back as it is.
    """
    file_format = written_as(picture, wanted)
    text = _WRITERS[scheme](recipe)
    origin = signed(picture.origin or Origin(format=file_format), file_format, text, scheme.value, SOFTWARE)
    if origin is None:
        message = f"metadata: a {file_format.value.upper()} file has no place for it, or not for so much"
        warn("metadata_unused", message)
        return picture
    return Picture(picture.rgb, picture.alpha, picture.depth_bits, origin)
