"""Linear factors: what turns each place of clean latents into one RGB colour, cheaply and well enough to follow a job.

Published for the usual VAEs; fitted for any other from pictures that VAE encodes, and kept on disk under its hash.
"""

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

FIT_PICTURES: Final = 64
FIT_SIDE_PLACES: Final = 8
"""Side of the latents of a picture that factors are fitted from."""
_SAMPLED: Final = 64
"""Values of each weight that go into a VAE's hash: training moves all of them."""


@dataclass(frozen=True, slots=True)
class Factors:
    """RGB in [-1, 1] = weight @ latents + bias, of latents as the denoiser sees them.

    Attributes:
        weight: one row of three per channel: what it adds to red, green and blue.
        bias: one value each.
    """

    weight: tuple[tuple[float, float, float], ...]
    bias: tuple[float, float, float]

    @property
    def channels(self) -> int:
        return len(self.weight)

    def project(self, latents: Tensor) -> Tensor:
        """(C, h, w) latents to (3, h, w) RGB in about [-1, 1], on the same device, float32."""
        weight = torch.tensor(self.weight, dtype=torch.float32).T.to(latents.device)
        bias = torch.tensor(self.bias, dtype=torch.float32).to(latents.device)
        channels, height, width = latents.shape
        flat = torch.addmm(bias[:, None], weight, latents.float().reshape(channels, -1))
        return flat.reshape(3, height, width)


def grey(channels: int) -> Factors:
    """For latents nothing is known of: their mean, as a grey."""
    share = 1 / channels
    return Factors(((share, share, share),) * channels, (0.0, 0.0, 0.0))


_SD1: Final = Factors(
    ((0.3512, 0.2297, 0.3227), (0.3250, 0.4974, 0.2350), (-0.2829, 0.1762, 0.2721), (-0.2120, -0.2616, -0.7177)),
    (0.0, 0.0, 0.0),
)
_SDXL: Final = Factors(
    ((0.3651, 0.4232, 0.4341), (-0.2533, -0.0042, 0.1068), (0.1076, 0.1111, -0.0362), (-0.3165, -0.2492, -0.2188)),
    (0.1084, -0.0175, -0.0011),
)
_SD3: Final = Factors(
    (
        (-0.0922, -0.0175, 0.0749),
        (0.0311, 0.0633, 0.0954),
        (0.1994, 0.0927, 0.0458),
        (0.0856, 0.0339, 0.0902),
        (0.0587, 0.0272, -0.0496),
        (-0.0006, 0.1104, 0.0309),
        (0.0978, 0.0306, 0.0427),
        (-0.0042, 0.1038, 0.1358),
        (-0.0194, 0.0020, 0.0669),
        (-0.0488, 0.0130, -0.0268),
        (0.0922, 0.0988, 0.0951),
        (-0.0278, 0.0524, -0.0542),
        (0.0332, 0.0456, 0.0895),
        (-0.0069, -0.0030, -0.0810),
        (-0.0596, -0.0465, -0.0293),
        (-0.1448, -0.1463, -0.1189),
    ),
    (0.2394, 0.2135, 0.1925),
)
_FLUX: Final = Factors(
    (
        (-0.0346, 0.0244, 0.0681),
        (0.0034, 0.0210, 0.0687),
        (0.0275, -0.0668, -0.0433),
        (-0.0174, 0.0160, 0.0617),
        (0.0859, 0.0721, 0.0329),
        (0.0004, 0.0383, 0.0115),
        (0.0405, 0.0861, 0.0915),
        (-0.0236, -0.0185, -0.0259),
        (-0.0245, 0.0250, 0.1180),
        (0.1008, 0.0755, -0.0421),
        (-0.0515, 0.0201, 0.0011),
        (0.0428, -0.0012, -0.0036),
        (0.0817, 0.0765, 0.0749),
        (-0.1264, -0.0522, -0.1103),
        (-0.0280, -0.0881, -0.0499),
        (-0.1262, -0.0982, -0.0778),
    ),
    (-0.0329, -0.0718, -0.0851),
)

_USUAL_BLOCKS: Final = (128, 256, 512, 512)
_PUBLISHED: Final = ((0.18215, _SD1), (0.13025, _SDXL), (1.5305, _SD3), (0.3611, _FLUX))
"""Scaling factor of the VAE and the factors ComfyUI publishes for it (`latent_formats`). SD 2 has the VAE of SD 1."""


def published_factors(config: Mapping[str, Any]) -> Factors | None:
    """The published factors of a VAE with this config; None for one of another build: its latents mean other things."""
    if tuple(config.get("block_out_channels", ())) != _USUAL_BLOCKS:
        return None
    for scaling, factors in _PUBLISHED:
        if math.isclose(config.get("scaling_factor") or 0.0, scaling) and config["latent_channels"] == factors.channels:
            return factors
    return None


def fit_pictures(places_px: int, count: int = FIT_PICTURES) -> Tensor:
    """(count, 3, S, S) smooth random pictures in [-1, 1], of all colours; the same every time.

    Args:
        places_px: pixels of one place of the latents, a side.
    """
    generator = torch.Generator().manual_seed(0)
    side = FIT_SIDE_PLACES * places_px
    pictures = 1.6 * torch.rand(count, 3, 1, 1, generator=generator) - 0.8
    for cells, strength in ((3, 0.5), (6, 0.25)):
        noise = torch.randn(count, 3, cells, cells, generator=generator)
        pictures = pictures + strength * functional.interpolate(noise, (side, side), mode="bicubic")
    return pictures.clamp(-1, 1)


def fit_factors(latents: Tensor, pictures: Tensor) -> Factors:
    """The factors with the least squared error.

    Args:
        latents: (N, C, h, w) of the pictures, as the denoiser would see them.
        pictures: (N, 3, H, W) in [-1, 1]; compared after averaging over each place of the latents.
    """
    channels = latents.shape[1]
    places = latents.double().cpu().permute(0, 2, 3, 1).reshape(-1, channels)
    seen = torch.cat([places, torch.ones(len(places), 1, dtype=torch.float64)], dim=1)
    averaged = functional.adaptive_avg_pool2d(pictures.double().cpu(), (latents.shape[2], latents.shape[3]))
    wanted = averaged.permute(0, 2, 3, 1).reshape(-1, 3)
    # A little weight on small factors: with a channel that says nothing the fit is not unique.
    ridge = 1e-6 * len(seen) * torch.eye(channels + 1, dtype=torch.float64)
    solution = torch.linalg.solve(seen.T @ seen + ridge, seen.T @ wanted)
    rows = [(float(red), float(green), float(blue)) for red, green, blue in solution]
    return Factors(tuple(rows[:-1]), rows[-1])


def vae_hash(vae: nn.Module) -> str:
    """The same for the same weights, whatever file, precision up to float16 or device they came from."""
    digest = hashlib.sha256()
    for name, weight in sorted(vae.state_dict().items()):
        sample = weight.detach().flatten()[:_SAMPLED].to("cpu", torch.float16)
        digest.update(f"{name}{tuple(weight.shape)}".encode())
        digest.update(sample.numpy().tobytes())
    return digest.hexdigest()


def load_factors(folder: Path, name: str) -> Factors | None:
    """What `save_factors` kept; None if there is nothing, or nothing whole."""
    try:
        kept = json.loads((folder / f"{name}.json").read_text("utf-8"))
        rows = [_triple(row) for row in kept["weight"]]
        return Factors(tuple(rows), _triple(kept["bias"])) if rows else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_factors(folder: Path, name: str, factors: Factors) -> None:
    """Keep `factors`, whole or not at all.

    Raises:
        OSError: they could not be kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"weight": factors.weight, "bias": factors.bias})
    handle, partial = tempfile.mkstemp(dir=folder, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(partial).replace(folder / f"{name}.json")
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return (red, green, blue)
