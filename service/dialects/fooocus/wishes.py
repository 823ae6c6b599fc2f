"""What a client of one of Fooocus' APIs wants, whichever of their requests it wrote it in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from protocol.params import OutputFormat
from service.dialects.fooocus.choices import GUIDE_DEFAULTS, Extension, GuideKind, Side, UovMethod
from service.dialects.fooocus.enhancing import EnhanceWish
from service.dialects.fooocus.fields import AdvancedFields, CommonFields
from service.dialects.picture_size import Size

FORMATS: Final[Mapping[Extension, OutputFormat]] = {
    Extension.PNG: OutputFormat.PNG,
    Extension.JPG: OutputFormat.JPEG,
    Extension.JPEG: OutputFormat.JPEG,
    Extension.WEBP: OutputFormat.WEBP,
}


@dataclass(frozen=True, slots=True)
class Guide:
    """A picture given beside the prompt.

    Attributes:
        stop: share of the steps after which it ends.
        weight: how much it counts.
    """

    picture: bytes
    kind: GuideKind
    stop: float
    weight: float

    @classmethod
    def with_defaults(cls, picture: bytes, kind: GuideKind, stop: float | None, weight: float | None) -> "Guide":
        """The same, where 0 and None stand for what the kind has by default."""
        usual = GUIDE_DEFAULTS[kind]
        return cls(picture, kind, stop or usual.stop, weight or usual.weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One generating request.

    Attributes:
        common, advanced: its fields.
        extension: of the files.
        saves_metadata: write into them what they were made with.
        metadata_scheme: in which form.
        picture: to change, if there is one.
        mask: what of it is repainted; white.
        method: how it is varied or enlarged; then nothing is repainted.
        factor: of `Upscale (Custom)`.
        size: of the picture.
        sides: those it is continued on -> by how many pixels; 0 and less are 30 %.
        additional_prompt: what is seen in the repainted part.
        guides: pictures given beside the prompt.
        enhancing: what is done to pictures once they are there.
        enhances_picture: that is done to `picture` itself, and `method` is a part of it.
    """

    common: CommonFields
    advanced: AdvancedFields
    extension: Extension = Extension.PNG
    saves_metadata: bool = False
    metadata_scheme: str = "fooocus"
    picture: bytes | None = field(default=None, repr=False)
    mask: bytes | None = field(default=None, repr=False)
    method: UovMethod = UovMethod.DISABLED
    factor: float | None = None
    size: Size | None = None
    sides: Mapping[Side, int] = field(default_factory=dict)
    additional_prompt: str = ""
    guides: tuple[Guide, ...] = field(default=(), repr=False)
    enhancing: EnhanceWish | None = None
    enhances_picture: bool = False
