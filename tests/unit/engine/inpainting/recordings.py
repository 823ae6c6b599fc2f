"""What IOPaint answered, at the level of the task: its request as parameters of `erase`, and the pixels it made."""

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from engine.images import Bytes

_FOLDER: Final = Path(__file__).parents[3] / "dialects" / "golden" / "iopaint"
_STRATEGIES: Final = {"Original": "original", "Crop": "crop", "Resize": "resize"}
_METHODS: Final = {"INPAINT_NS": "navier_stokes", "INPAINT_TELEA": "telea"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recorded request to `/api/v1/inpaint` that was answered with a picture.

    Attributes:
        params: of `erase`, without the pictures.
        image, mask: the files as they were sent.
        answer: the file that came back.
        media_type: as it was labelled.
        info: what the answer's file said beside its pixels.
    """

    name: str
    params: Mapping[str, Any]
    image: bytes
    mask: bytes
    answer: bytes
    media_type: str
    info: Mapping[str, Any]

    def sent(self) -> Bytes:
        return rgb(self.image)

    def hole(self) -> Bytes:
        """(H, W) bool: what counts as masked there."""
        return np.asarray(Image.open(io.BytesIO(self.mask)).convert("L")) > 127

    def answered(self) -> Bytes:
        return rgb(self.answer)


def rgb(content: bytes) -> Bytes:
    """(H, W, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def recordings(file: str, model: str) -> list[Recording]:
    """Those of one file that ask for a picture and got one.

    Args:
        model: what the server was running.
    """
    cases = json.loads((_FOLDER / file).read_text("utf-8"))["cases"]
    return [_read(case, model) for case in cases if "image" in case["response"] and "json" in case["request"]]


def _read(case: Mapping[str, Any], model: str) -> Recording:
    asked, answer = case["request"]["json"], case["response"]
    params = {
        "model": model,
        "grow_px": 0,
        "feather_px": 0,
        "hd_strategy": _STRATEGIES.get(asked.get("hd_strategy", "Crop"), "original"),
        "hd_crop_trigger_px": asked.get("hd_strategy_crop_trigger_size", 800),
        "hd_crop_margin_px": asked.get("hd_strategy_crop_margin", 128),
        "hd_resize_limit_px": asked.get("hd_strategy_resize_limit", 1280),
        "method": _METHODS[asked.get("cv2_flag", "INPAINT_NS")],
        "fill_radius_px": max(0, asked.get("cv2_radius", 4)),
    }
    return Recording(
        name=case["name"],
        params=params,
        image=_decoded(asked["image"]),
        mask=_decoded(asked["mask"]),
        answer=base64.b64decode(answer["body_base64"]),
        media_type=answer["headers"]["content-type"],
        info=answer["image"]["info"],
    )


def _decoded(text: str) -> bytes:
    return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text)
