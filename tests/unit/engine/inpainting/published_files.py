"""State dicts as `mat` and `fcf` are published, narrow or in their own width, with weights drawn by their names.

They hold what the published files hold beside weights: filters, the seams of windows, noise and biases that are not
used. Names and shapes in full width were compared with those of IOPaint's own classes; the digests are of these.
"""

import hashlib
import zlib
from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from torch import Tensor

from engine.inpainting.fcf_network import FcfNetwork, FcfWidths
from engine.inpainting.mat_network import MatNetwork, MatWidths
from engine.inpainting.stylegan import low_pass

Shapes = Mapping[str, tuple[int, ...]]

MAT_WIDTHS: Final = MatWidths(features={512: 64, 256: 128, 128: 256, 64: 512, 32: 512, 16: 512})
FCF_WIDTHS: Final = FcfWidths(features={512: 64, 256: 128, 128: 256, 64: 512, 32: 512, 16: 512, 8: 512, 4: 512})
NARROW_MAT: Final = MatWidths(tokens=12, style=16, features={512: 4, 256: 6, 128: 6, 64: 8, 32: 8, 16: 12})
NARROW_FCF: Final = FcfWidths(style=32, features=dict.fromkeys((512, 256, 128, 64, 32, 16, 8, 4), 32))
_SEAMS: Final = {0: (64, 64), 1: (4, 256), 3: (4, 256), 4: (64, 64)}
"""Of the stages of MAT that shift their windows: how many windows, of how many tokens."""


def mat_shapes(widths: MatWidths) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        shapes = _shapes(MatNetwork(widths))
    for name, shape in list(shapes.items()):
        place, _, kind = name.rpartition(".")
        if (kind == "weight" and len(shape) >= 4) or name.endswith("toRGB.bias"):
            shapes[f"{place}.resample_filter"] = (4, 4)
    for stage, (windows, tokens) in _SEAMS.items():
        shapes[f"synthesis.first_stage.tran.{stage}.blocks.1.attn_mask"] = (windows, tokens, tokens)
    return shapes


def fcf_shapes(widths: FcfWidths) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        shapes = _shapes(FcfNetwork(widths))
    for name, shape in list(shapes.items()):
        place, _, kind = name.rpartition(".")
        if kind != "weight" or len(shape) != 4 or "ffc_skip" in name or "torgb" in name:
            continue
        shapes[f"{place}.resample_filter"] = (4, 4)
        if name.startswith("synthesis."):
            block = place.split(".")[1]
            side = 4 if block == "foreword" else int(block[1:])
            shapes |= {f"{place}.noise_const": (side, side), f"{place}.noise_strength": (), f"{place}.bias": shape[:1]}
    for side in (8, 16, 32, 64, 128, 256, 512):
        shapes |= {f"encoder.b{side}.resample_filter": (4, 4), f"synthesis.b{side}.resample_filter": (4, 4)}
    return shapes


def digest(shapes: Shapes) -> str:
    """Of all names and shapes."""
    lines = sorted(f"{name} {tuple(shape)}" for name, shape in shapes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def drawn(shapes: Shapes) -> dict[str, Tensor]:
    """Weights that depend on nothing but their names and shapes."""
    return {name: _drawn(name, shape) for name, shape in shapes.items()}


def _drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith("resample_filter"):
        return low_pass()
    if name.endswith("attn_mask"):
        return torch.zeros(shape)
    # So that what comes out is a picture, not black and white.
    scales = {"bias": 0.3, "ffc_skip": 0.05, "torgb.weight": 0.002}
    scale = next((scale for part, scale in scales.items() if part in name), 1.0)
    numbers = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape) * scale
    return torch.from_numpy(np.asarray(numbers, np.float32).reshape(shape))


def _shapes(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}
