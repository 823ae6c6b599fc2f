"""Embedded colour profiles: pictures become sRGB before anything looks at them."""

import io
from collections.abc import Callable
from typing import Final, TypeAlias

from PIL import Image, ImageCms

Profile: TypeAlias = ImageCms.ImageCmsProfile
Warn: TypeAlias = Callable[[str, str], None]
"""Takes the code and the message of a `job.warning`."""

_COLOUR_SPACES: Final = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Colour space of an ICC profile -> the Pillow mode it describes."""


def foreign_profile(image: Image.Image, warn: Warn | None) -> Profile | None:
    """The embedded colour profile, unless there is none, it is broken, or it is sRGB anyway."""
    content = image.info.get("icc_profile")
    return profile_of(content, warn) if content else None


def profile_of(content: bytes, warn: Warn | None = None) -> Profile | None:
    """An embedded profile; None if it is broken, or is sRGB anyway."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
        name = ImageCms.getProfileDescription(profile)
    except (OSError, ImageCms.PyCMSError) as error:
        _tell(warn, "profile_ignored", f"the embedded colour profile is broken and was ignored: {error}")
        return None
    # Converting sRGB to sRGB would only change pixels by rounding.
    return None if "srgb" in name.lower() else profile


def describes_rgb(profile: Profile) -> bool:
    """Whether colours can be kept in it while they are worked on."""
    return profile.profile.xcolor_space.strip() == "RGB"


def to_srgb(image: Image.Image, profile: Profile, warn: Warn | None) -> Image.Image:
    """Apply a profile (relative colorimetric); the picture as it is, with a warning, if that is impossible.

    Args:
        image: without transparency.

    Returns:
        RGB, unless the profile was ignored.
    """
    mode = _COLOUR_SPACES.get(profile.profile.xcolor_space.strip())
    if mode is None or (mode == "CMYK") != (image.mode == "CMYK"):
        _tell(warn, "profile_ignored", f"the embedded colour profile does not describe {image.mode} and was ignored")
        return image
    try:
        converted = ImageCms.profileToProfile(
            image if image.mode == mode else image.convert(mode),
            profile,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
        )
    except (OSError, ImageCms.PyCMSError) as error:
        _tell(warn, "profile_ignored", f"the embedded colour profile is broken and was ignored: {error}")
        return image
    return converted if converted is not None else image


def _tell(warn: Warn | None, code: str, message: str) -> None:
    if warn is not None:
        warn(code, message)
