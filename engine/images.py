"""Files to pixels and back: the only converter between array layouts.

    bytes or path  --decode-->  Picture  --encode-->  EncodedImage
    (H, W, 3) float in [0, 1]  <--from_uint8 / to_uint8-->  (H, W, 3) uint8
    (H, W, 3) float in [0, 1]  <--from_tensor / to_tensor-->  (1, 3, H, W) tensor

A `Picture` is upright, sRGB and straight (its colours are not multiplied by its alpha). Importing this module loads
neither torch nor OpenCV.
"""

import io
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.colour import Profile, Warn, describes_rgb, foreign_profile, profile_of, to_srgb
from engine.interface import EncodedImage, EngineError
from engine.opening import DAMAGE, open_picture
from engine.orientation import TURNED, orientation_of, upright
from engine.origin import MEDIA_TYPES, PROFILED, TRANSPARENT, FileFormat, Origin, read_origin
from engine.png import is_deep, read_deep, write_png
from protocol.errors import ErrorCode
from protocol.params import OutputFormat, PictureOutParams

if TYPE_CHECKING:
    import torch

Floats: TypeAlias = NDArray[np.float32]
Bytes: TypeAlias = NDArray[np.uint8]

PREVIEW_SIDE_PX: Final = 256
_WEBP_SIDE_PX: Final = 16_383
_DEEP_WHITE: Final = 65_535
_PLAIN_MODES: Final = frozenset({"L", "LA", "RGB", "RGBA"})
_NOT_PLAIN: Final = frozenset({"icc_profile", "transparency"})
_CHROMA_KEPT_FROM_QUALITY: Final = 90


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        rgb: (H, W, 3) float32 in [0, 1], sRGB, not multiplied by alpha.
        alpha: (H, W) float32 in [0, 1], 1 is opaque; None if the file had no transparency.
        depth_bits: 8 or 16, what its file held; a PNG written from it holds as much.
        origin: what its file was beside that; None if it was made from nothing.
    """

    rgb: Floats
    alpha: Floats | None = None
    depth_bits: int = 8
    origin: Origin | None = None

    @property
    def width(self) -> int:
        return int(self.rgb.shape[1])

    @property
    def height(self) -> int:
        return int(self.rgb.shape[0])

    def with_rgb(self, rgb: Floats) -> "Picture":
        """The same alpha, depth and origin with other colours of the same size."""
        return replace(self, rgb=rgb)


def decode(source: Path | bytes, *, warn: Warn | None = None, keep_metadata: bool = False) -> Picture:
    """Read a picture file: the first frame, upright, in sRGB.

    Grey becomes RGB; palettes are resolved; 16 bits per channel are kept; an embedded ICC profile other than sRGB is
    applied (relative colorimetric) and dropped.

    Args:
        keep_metadata: note in `origin` what the file says beside its pixels: a file written from the picture says it
            too. Colours in an embedded profile of RGB are left as they are, and `encode` sees to files that cannot
            hold one.
        warn: hears when the colours could not be converted as the file asks; the picture is read all the same.

    Raises:
        EngineError: `bad_image`: not a picture of a readable format, or not whole.
        OSError: `source` is a path that cannot be read.
    """
    content = source if isinstance(source, bytes) else source.read_bytes()
    try:
        with open_picture(content) as image:
            profile, kept = foreign_profile(image, warn), None
            if keep_metadata and (profile is None or describes_rgb(profile)):
                profile, kept = None, image.info.get("icc_profile")
            deep = _decode_deep(content) if profile is None else None
            orientation = orientation_of(image)
            picture = deep or _from_pillow(image, profile, warn)
            if deep is None:
                # Only now: it may stand behind the pixels, and Pillow has turned a TIFF by itself.
                orientation = orientation_of(image)
            origin = read_origin(image, kept)
            picture = replace(picture, origin=origin if keep_metadata else Origin(format=origin.format))
    except EngineError:
        raise
    except Image.DecompressionBombError as error:
        raise EngineError(ErrorCode.IMAGE_TOO_LARGE, f"image: {error}") from error
    except DAMAGE as error:
        raise EngineError(ErrorCode.BAD_IMAGE, f"image: cannot be read as a picture: {error}") from error
    if orientation not in TURNED:
        return picture
    alpha = None if picture.alpha is None else upright(picture.alpha, orientation)
    return replace(picture, rgb=upright(picture.rgb, orientation), alpha=alpha)


def decode_plain(content: bytes) -> Image.Image | None:
    """A picture file whose pixels are as `decode` would give them, but for how they are kept: in a third of its time.

    Returns:
        Of mode L, LA, RGB or RGBA. None for a file with more than 8 bits, of other colours, or not upright; and for a
        damaged one, of which `decode` says what is wrong.
    """
    with suppress(EngineError, Image.DecompressionBombError, *DAMAGE), open_picture(content) as image:
        if image.mode in _PLAIN_MODES and not image.info.keys() & _NOT_PLAIN and not is_deep(content):
            image.load()
            # Again, for some formats say it behind the pixels.
            if not image.info.keys() & _NOT_PLAIN and orientation_of(image) == 1:
                return image
    return None


def encode(picture: Picture, output_format: OutputFormat, quality: int = 90) -> EncodedImage:
    """Write a picture file: untagged, which means sRGB, and without metadata, but for what `picture.origin` noted.

    JPEG and PPM have no transparency: there the picture is laid on white.

    Args:
        quality: 1 to 100, for JPEG and WebP.

    Raises:
        EngineError: `invalid_params`: the format cannot hold a picture this large.
    """
    origin, file_format = picture.origin, written_as(picture, output_format)
    if file_format is FileFormat.WEBP and max(picture.width, picture.height) > _WEBP_SIDE_PX:
        message = f"format: webp holds at most {_WEBP_SIDE_PX} px a side, got {picture.width} x {picture.height}"
        raise EngineError(ErrorCode.INVALID_PARAMS, f"{message} at $.params.format")
    if origin is not None and origin.icc_profile and file_format not in PROFILED:
        picture = _in_srgb(picture, origin.icc_profile)
    content = _written(picture, file_format, quality, origin)
    return EncodedImage(
        content=content, media_type=MEDIA_TYPES[file_format], width=picture.width, height=picture.height
    )


def written_as(picture: Picture, output_format: OutputFormat) -> FileFormat:
    """The format of a file, where a request leaves it to the picture: a PNG for one that was made from nothing."""
    if output_format is not OutputFormat.SOURCE:
        return FileFormat(output_format.value)
    return FileFormat.PNG if picture.origin is None else picture.origin.format


def encode_for(picture: Picture, params: PictureOutParams) -> EncodedImage:
    """`encode`, as a request asks for it."""
    return encode(picture, params.format, params.quality)


def encode_mask(mask: NDArray[Any]) -> EncodedImage:
    """Write a mask as a grey PNG, white where it is 1.

    Args:
        mask: (H, W), bool or float in [0, 1].
    """
    content = write_png(to_uint8(np.asarray(mask, np.float32)))
    return EncodedImage(content=content, media_type="image/png", width=int(mask.shape[1]), height=int(mask.shape[0]))


def thumbnail(rgb: NDArray[Any], max_side_px: int = PREVIEW_SIDE_PX) -> Bytes:
    """A small copy for a preview, at most `max_side_px` a side; smaller pictures keep their size.

    Args:
        rgb: (H, W, 3), uint8 or float in [0, 1].

    Returns:
        (h, w, 3) uint8, never sharing memory with `rgb`.
    """
    height, width = rgb.shape[:2]
    # Every n-th pixel first, keeping at least four per pixel of the result: quantising it all would cost more.
    stride = max(1, max(height, width) // (4 * max_side_px))
    coarse = rgb[::stride, ::stride]
    small = Image.fromarray(np.ascontiguousarray(coarse) if coarse.dtype == np.uint8 else to_uint8(coarse))
    scale = min(1.0, max_side_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.array(small if small.size == size else small.resize(size, Image.Resampling.BOX))


def on_white(picture: Picture) -> Floats:
    """(H, W, 3) float: the picture as it looks on white paper."""
    if picture.alpha is None:
        return picture.rgb
    alpha = picture.alpha[..., None]
    return picture.rgb * alpha + (1 - alpha)


def to_uint8(values: NDArray[Any]) -> Bytes:
    """Floats in [0, 1] (clipped to that) to 0..255, rounded; the inverse of `from_uint8`."""
    scaled: Floats = np.clip(values, 0, 1, dtype=np.float32)
    # In place: a second and third copy of a large picture would be most of a job's memory.
    scaled *= np.float32(255)
    return np.rint(scaled, out=scaled).astype(np.uint8)


def from_uint8(values: Bytes) -> Floats:
    """0..255 to float32 in [0, 1]."""
    return np.multiply(values, np.float32(1 / 255), dtype=np.float32)


def to_tensor(rgb: Floats, device: "torch.device | str" = "cpu") -> "torch.Tensor":
    """(H, W, 3) float to (1, 3, H, W) float32 on `device`; does not share memory with `rgb`."""
    import torch

    planes = np.ascontiguousarray(np.moveaxis(rgb, -1, 0))
    return torch.tensor(planes, dtype=torch.float32, device=device).unsqueeze(0)


def from_tensor(tensor: "torch.Tensor") -> Floats:
    """(1, 3, H, W) tensor of any float type, on any device, to (H, W, 3) float32, clipped to [0, 1]."""
    planes = tensor.detach().squeeze(0).clamp(0, 1).float().cpu().numpy()
    return np.ascontiguousarray(np.moveaxis(planes, 0, -1), dtype=np.float32)


def _from_pillow(image: Image.Image, profile: Profile | None, warn: Warn | None) -> Picture:
    image.load()
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        return _from_wide_grey(np.asarray(image, np.float32), is_float=image.mode == "F")
    alpha: Floats | None = None
    if image.has_transparency_data:
        straight = image.convert("RGBA")
        alpha = from_uint8(np.asarray(straight.getchannel("A")))
        image = straight.convert("RGB") if image.mode not in {"L", "LA"} else image.convert("LA").getchannel("L")
    elif image.mode in {"P", "1"}:
        image = image.convert("RGB")
    if profile is not None:
        image = to_srgb(image, profile, warn)
    return Picture(from_uint8(np.asarray(image.convert("RGB"))), alpha)


def _from_wide_grey(grey: Floats, *, is_float: bool) -> Picture:
    """Grey of more than 8 bits. White is 65535; floats do not say, so there it is 1 or 255 if none is larger."""
    if not np.isfinite(grey).all():
        raise EngineError(ErrorCode.BAD_IMAGE, "image: has pixels that are not numbers")
    largest = float(grey.max(initial=0))
    white = next((limit for limit in (1, 255) if largest <= limit), 65_535) if is_float else 65_535
    scaled = np.clip(grey / np.float32(white), 0, 1)
    return Picture(np.repeat(scaled[..., None], 3, axis=2), None, 16)


def _decode_deep(content: bytes) -> Picture | None:
    """A PNG of 16 bits per channel; None if it is something else."""
    pixels = read_deep(content)
    if pixels is None:
        return None
    values = pixels.astype(np.float32) / np.float32(_DEEP_WHITE)
    if values.ndim == 2:
        return Picture(np.repeat(values[..., None], 3, axis=2), None, 16)
    alpha = np.ascontiguousarray(values[..., 3]) if values.shape[2] == 4 else None
    return Picture(np.ascontiguousarray(values[..., :3]), alpha, 16)


def _written(picture: Picture, file_format: FileFormat, quality: int, origin: Origin | None) -> bytes:
    """
    Args:
        origin: what the file is to say beside its pixels.
    """
    if file_format is FileFormat.PNG:
        content = write_png(_deep_pixels(picture) if picture.depth_bits > 8 else _pixels(picture))
        return content if origin is None else origin.into_png(content)
    has_alpha = file_format in TRANSPARENT
    image = to_pillow(picture) if has_alpha else Image.fromarray(to_uint8(on_white(picture)))
    out = io.BytesIO()
    options = _options(file_format, quality) | (origin.options(file_format) if origin is not None else {})
    image.save(out, file_format.value.upper(), **options)
    return out.getvalue()


def _options(file_format: FileFormat, quality: int) -> dict[str, Any]:
    """What Pillow's writer of that format is told."""
    match file_format:
        case FileFormat.WEBP:
            # exact: colours under full transparency survive, so that erasing and recompositing stay possible.
            return {"quality": quality, "exact": True}
        case FileFormat.JPEG:
            subsampling = "4:4:4" if quality >= _CHROMA_KEPT_FROM_QUALITY else "4:2:0"
            return {"quality": quality, "subsampling": subsampling, "optimize": True}
        case _:
            return {}


def _in_srgb(picture: Picture, icc_profile: bytes) -> Picture:
    """What was left in its own colours, for a file that cannot say so."""
    profile = profile_of(icc_profile)
    if profile is None:
        return picture
    return picture.with_rgb(from_uint8(np.asarray(to_srgb(Image.fromarray(to_uint8(picture.rgb)), profile, None))))


def _deep_pixels(picture: Picture) -> NDArray[np.uint16]:
    """(H, W, 3) or (H, W, 4) of 16 bits."""
    values = picture.rgb if picture.alpha is None else np.dstack((picture.rgb, picture.alpha))
    return np.asarray(np.rint(np.clip(values, 0, 1) * np.float32(_DEEP_WHITE)), np.uint16)


def _pixels(picture: Picture) -> Bytes:
    """(H, W, 3) or (H, W, 4) of 8 bits."""
    rgb = to_uint8(picture.rgb)
    return rgb if picture.alpha is None else np.dstack((rgb, to_uint8(picture.alpha)))


def to_pillow(picture: Picture) -> Image.Image:
    """The picture with 8 bits of each colour: of mode RGB, or RGBA if it has an alpha."""
    return Image.fromarray(_pixels(picture))
