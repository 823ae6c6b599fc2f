"""A look at a job's picture between its steps: clean latents to a small RGB picture.

    previewer_for      a model's previewer: fits or reads its factors, and measures whether its VAE is cheap enough
    Previewer          what is the same for all jobs of a model
    Watch              one job's: knows the clean latents, makes pictures of them

Work on the device is done in the job's own greenlet (`Watch.picture`) and ends with a few thousand bytes on the CPU;
what is left, making those the size of a preview, is for the side pool and touches no device.
"""

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from engine.diffusion.clean_latents import CleanLatents
from engine.diffusion.latent_factors import (
    FIT_PICTURES,
    Factors,
    fit_factors,
    fit_pictures,
    grey,
    load_factors,
    published_factors,
    save_factors,
    vae_hash,
)
from engine.diffusion.sizes import Size
from engine.interface import Call, Where

logger = structlog.get_logger(__name__)

Bytes: TypeAlias = NDArray[np.uint8]

PREVIEW_PX: Final = 256
DECODE_LIMIT_S: Final = 0.1
"""A preview may be decoded in full if that is measured to take less."""
_FIT_LIMIT_S: Final = 3.0
"""No further pictures are encoded for a fit once it has taken this long; a few are enough for a rough one."""
_FIT_BATCH: Final = 8
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


class Previewer:
    """Makes pictures of the latents of one model. For the executor thread.

    Args:
        decoders: the better one first; used for latents it decodes within `limit_s`.
    """

    def __init__(
        self, factors: Factors, decoders: tuple[TimedDecoder, ...] = (), *, limit_s: float = DECODE_LIMIT_S
    ) -> None:
        self.factors = factors
        self._decoders = decoders
        self._limit_s = limit_s

    def watch(self, scheduler: Any) -> "Watch":
        """Follow a job by its scheduler, before its first step."""
        return Watch(self, CleanLatents(scheduler))

    def method(self, places: int) -> PreviewMethod:
        """How latents with so many places (h times w) are shown."""
        decoder = self._decoder(places)
        return PreviewMethod.LINEAR if decoder is None else decoder.method

    def thumbnail(self, latents: Tensor, max_px: int = PREVIEW_PX) -> Bytes:
        """The device's share: one place or more to a pixel, and down to the CPU.

        Args:
            latents: (C, h, w), clean, as the denoiser sees them.

        Returns:
            (H, W, 3), RGB, no side longer than `max_px`; in memory of its own.
        """
        decoder = self._decoder(latents.shape[1] * latents.shape[2])
        if decoder is None:
            factors = self.factors if self.factors.channels == latents.shape[0] else grey(latents.shape[0])
            rgb = factors.project(_shrunk(latents, max_px))
        else:
            rgb = _shrunk(decode(decoder.vae, latents), max_px)
        pixels = rgb.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        made: Bytes = pixels.permute(1, 2, 0).contiguous().to("cpu").numpy()
        return made

    def _decoder(self, places: int) -> TimedDecoder | None:
        return next((decoder for decoder in self._decoders if decoder.takes_s(places) <= self._limit_s), None)


class Watch:
    """One job's previews. For the executor thread, but for what `picture` returns."""

    def __init__(self, previewer: Previewer, clean: CleanLatents) -> None:
        self._previewer = previewer
        self._clean = clean

    def picture(self, latents: Tensor, size: Size, max_px: int = PREVIEW_PX) -> Callable[[], Bytes]:
        """What makes the preview of this moment: call it on the side pool.

        Args:
            latents: of the pipeline, shown if the scheduler's clean ones are not known; (N, C, h, w), or (N, T, 4C) as
                Flux packs them. The first of N is shown.
            size: of the picture, in pixels.

        Returns:
            Makes (H, W, 3) RGB uint8 with the proportions of `size` and no side longer than `max_px`.
        """
        clean = self._clean.latest()
        shown = latents if clean is None or clean.shape != latents.shape else clean
        small = self._previewer.thumbnail(planes(shown.detach(), size), max_px)
        return partial(enlarged, small, size, max_px)


def planes(latents: Tensor, size: Size) -> Tensor:
    """The (C, h, w) latents of the first picture, from whatever layout a pipeline has them in."""
    first = latents[0]
    if first.ndim == 2:
        tokens, values = first.shape
        wide = math.sqrt(tokens * size.height / size.width)
        height = min((rows for rows in range(1, tokens + 1) if tokens % rows == 0), key=lambda rows: abs(rows - wide))
        width = tokens // height
        # A token holds two by two places of every channel.
        folded = first.reshape(height, width, values // 4, 2, 2).permute(2, 0, 3, 1, 4)
        return folded.reshape(values // 4, 2 * height, 2 * width)
    return first[:, 0] if first.ndim == 4 else first


def enlarged(small: Bytes, size: Size, max_px: int = PREVIEW_PX) -> Bytes:
    """A preview of a picture of `size`, from one pixel or more of each place of its latents. Touches no device.

    Its longer side is that of the picture, but at least 256 and at most `max_px`.
    """
    longer = max(size.width, size.height)
    scale = min(max_px, max(longer, PREVIEW_PX)) / longer
    wanted = (max(1, round(size.width * scale)), max(1, round(size.height * scale)))
    picture = Image.fromarray(small)
    if picture.size != wanted:
        picture = picture.resize(wanted, Image.Resampling.BILINEAR)
    return np.asarray(picture)


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


def previewer_for(
    loaded: Any, cache_dir: Path | None = None, *, tiny_vae: Decoder | None = None, limit_s: float = DECODE_LIMIT_S
) -> Generator[Call, Any, Previewer]:
    """The previewer of a loaded model. Use with `yield from`; takes some seconds at most, cut into calls.

    Args:
        loaded: has the `vae`, and the `width` and `height` of its `defaults`.
        cache_dir: where fitted factors are kept.
        tiny_vae: a small decoder of the same latents, if its weights are there.
        limit_s: the most that decoding one preview may take.
    """
    vae = loaded.vae
    if vae is None:
        return Previewer(grey(4))
    try:
        factors = yield from _factors_of(vae, cache_dir)
        places = _places_px(vae.config)
        wanted = math.ceil(loaded.defaults.width / places) * math.ceil(loaded.defaults.height / places)
        decoders = [(yield from _timed(vae, PreviewMethod.FULL_DECODER, wanted, factors.channels, limit_s))]
        if tiny_vae is not None:
            decoders.append(
                (yield from _timed(tiny_vae, PreviewMethod.TINY_DECODER, wanted, factors.channels, limit_s))
            )
    except Exception:  # a VAE of a kind nobody thought of: the model works without previews in colour
        logger.exception("preview.unfitted", vae=type(vae).__name__)
        return Previewer(grey(4))
    return Previewer(factors, tuple(decoders), limit_s=limit_s)


def _factors_of(vae: Any, cache_dir: Path | None) -> Generator[Call, Any, Factors]:
    published = published_factors(vae.config)
    if published is not None:
        return published
    folder = None if cache_dir is None else cache_dir / "previews"
    name = yield Call(partial(vae_hash, vae), stage="load")
    if folder is not None:
        kept: Factors | None = yield Call(partial(load_factors, folder, name), Where.POOL, "load")
        if kept is not None:
            return kept
    pictures: Tensor = yield Call(partial(fit_pictures, _places_px(vae.config)), Where.POOL, "load")
    started_at, latents = time.monotonic(), []
    for first in range(0, FIT_PICTURES, _FIT_BATCH):
        latents.append((yield Call(partial(_encoded, vae, pictures[first : first + _FIT_BATCH]), stage="load")))
        if time.monotonic() - started_at > _FIT_LIMIT_S:
            break
    seen = torch.cat(latents)
    factors: Factors = yield Call(partial(fit_factors, seen, pictures[: len(seen)]), Where.POOL, "load")
    if folder is not None:
        yield Call(partial(_keep, folder, name, factors), Where.POOL, "load")
    return factors


def _keep(folder: Path, name: str, factors: Factors) -> None:
    try:
        save_factors(folder, name, factors)
    except OSError as error:  # they are fitted again next time
        logger.warning("preview.factors_not_kept", error=str(error))


def _encoded(vae: Any, pictures: Tensor) -> Tensor:
    weight = next(vae.parameters())
    return encode(vae, pictures.to(weight.device, weight.dtype)).detach().float().cpu()


def _timed(
    vae: Any, method: PreviewMethod, places: int, channels: int, limit_s: float
) -> Generator[Call, Any, TimedDecoder]:
    """Time a decoder on a small picture, and on one of full size only if that promises to be worth it."""
    probe = _PROBE_PLACES**2
    yield Call(partial(_decode_s, vae, channels, _PROBE_PLACES), stage="load")  # the first use of a module is slower
    place_s = (yield Call(partial(_decode_s, vae, channels, _PROBE_PLACES), stage="load")) / probe
    if place_s * places < 4 * limit_s:
        side = math.ceil(math.sqrt(places))
        place_s = (yield Call(partial(_decode_s, vae, channels, side), stage="load")) / side**2
    return TimedDecoder(vae, method, place_s)


def _decode_s(vae: Any, channels: int, side: int) -> float:
    device = next(vae.parameters()).device
    started_at = time.perf_counter()
    # To the CPU and back: a device that works on its own is waited for.
    decode(vae, torch.zeros(channels, side, side, device=device)).detach().cpu()
    return time.perf_counter() - started_at


def _dtype_of(vae: Any) -> torch.dtype:
    weight: nn.Parameter = next(vae.parameters())
    return weight.dtype


def _places_px(config: Any) -> int:
    """Pixels of one place of the latents, a side."""
    return int(2 ** (len(config["block_out_channels"]) - 1))


def _shrunk(planes_: Tensor, max_px: int) -> Tensor:
    """(C, h, w), averaged down until no side is longer than `max_px`."""
    height, width = planes_.shape[1:]
    scale = max_px / max(height, width)
    if scale >= 1:
        return planes_
    return functional.adaptive_avg_pool2d(
        planes_[None].float(), (max(1, round(height * scale)), max(1, round(width * scale)))
    )[0]
