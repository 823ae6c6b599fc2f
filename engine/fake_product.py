"""What a fake job gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from engine.images import Picture
from engine.interface import EncodedImage

Inputs: TypeAlias = Mapping[str, Picture]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One output of a fake job.

    Attributes:
        before: what the previews start from.
        after: what they end with.
        encode: makes the file.
        seed, data: told with the output.
        number: of the output; by default its place among all.
        image: that it is of; by default likewise.
    """

    before: Picture
    after: Picture
    encode: Callable[[], EncodedImage]
    seed: int | None = None
    data: Mapping[str, Any] | None = None
    number: int | None = None
    image: int | None = None
