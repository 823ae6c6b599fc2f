"""Decoders of latents, and what each takes: a VAE is worth using for previews only where it is measured cheap."""

import math
import time
from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn

from engine.interface import Call

_WORTH_TIMING: Final = 10
"""A decoder that promises to take this many times the limit is not timed at full size."""
_PROBE_TIMES: Final = 3
_TIMES: Final = 4
_MOST_TIMES: Final = 16
_TIMING_S: Final = 0.1
"""A quick decoder is timed more often than `_TIMES`, up to this long: on a busy machine most tries are slow ones."""
_PROBE_PLACES: Final = 8
"""Side of the latents a decoder is first timed on: of a large one, a full picture would take half a minute."""


class Decoder(Protocol):
    """A VAE as diffusers has it, a tiny one included."""

    config: Any

    def encode(self, pictures: Tensor) -> Any: ...

    def decode(self, latents: Tensor) -> Any: ...


class PreviewMethod(StrEnum):
    """How latents become a picture."""

    LINEAR = "linear"
    TINY_DECODER = "tiny_decoder"
    FULL_DECODER = "full_decoder"


@dataclass(frozen=True, slots=True)
class TimedDecoder:
    """A decoder and what it was measured to take.

    Attributes:
        place_s: seconds for one place of the latents.
    """

    vae: Decoder
    method: PreviewMethod
    place_s: float

    def takes_s(self, places: int) -> float:
        return self.place_s * places


def decode(vae: Decoder, latents: Tensor) -> Tensor:
    """(C, h, w) latents as the denoiser sees them to (3, H, W) RGB in about [-1, 1]."""
    config = vae.config
    scaled = latents[None].to(_dtype_of(vae)) / (config.get("scaling_factor") or 1.0)
    decoded: Tensor = vae.decode(scaled + (config.get("shift_factor") or 0.0)).sample[0]
    return decoded


def encode(vae: Decoder, pictures: Tensor) -> Tensor:
    """(N, 3, H, W) RGB in [-1, 1] to (N, C, h, w) latents as the denoiser sees them."""
    config = vae.config
    encoded = vae.encode(pictures)
    latents: Tensor = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents
    return (latents - (config.get("shift_factor") or 0.0)) * (config.get("scaling_factor") or 1.0)


def timed(vae: Any, places: int, channels: int, limit_s: float) -> Generator[Call, Any, float]:
    """Time a decoder on a small picture, and on one of full size only if that promises to be worth it.

    Args:
        places: of latents of full size.

    Returns:
        Seconds for one place.
    """
    probe = _PROBE_PLACES**2
    yield Call(partial(_decode_s, vae, channels, _PROBE_PLACES), stage="load")  # the first use of a module is slower
    # The least of a few: whatever else the machine does now is not the decoder's doing.
    times: list[float] = []
    while len(times) < _PROBE_TIMES:
        times.append((yield Call(partial(_decode_s, vae, channels, _PROBE_PLACES), stage="load")))
    place_s = min(times) / probe
    if place_s * places < _WORTH_TIMING * limit_s:
        side = math.ceil(math.sqrt(places))
        times = []
        while len(times) < _TIMES or (len(times) < _MOST_TIMES and sum(times) < _TIMING_S):
            times.append((yield Call(partial(_decode_s, vae, channels, side), stage="load")))
            if len(times) > 1 and min(times) > limit_s * _WORTH_TIMING:
                break
        place_s = min(times) / side**2
    return place_s


def _decode_s(vae: Any, channels: int, side: int) -> float:
    device = next(vae.parameters()).device
    started_at = time.perf_counter()
    # To the CPU and back: a device that works on its own is waited for.
    decode(vae, torch.zeros(channels, side, side, device=device)).detach().cpu()
    return time.perf_counter() - started_at


def places_px(config: Any) -> int:
    """Pixels of one place of the latents, a side."""
    return int(2 ** (len(config["block_out_channels"]) - 1))


def _dtype_of(vae: Any) -> torch.dtype:
    weight: nn.Parameter = next(vae.parameters())
    return weight.dtype
