"""A look at a job's picture between its steps: clean latents to a small RGB picture.

    Previewer          what is the same for all jobs of a model; made by `previews.previewer_for`
    Watch              one job's: knows the clean latents, makes pictures of them

Work on the device is done in the job's own greenlet (`Watch.picture`) and ends with a few thousand bytes on the CPU;
what is left, making those the size of a preview, is for the side pool and touches no device.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from engine.diffusion.clean_latents import CleanLatents
from engine.diffusion.latent_decoders import PreviewMethod, TimedDecoder, decode
from engine.diffusion.latent_factors import Factors, grey
from engine.diffusion.sizes import Size

Bytes: TypeAlias = NDArray[np.uint8]

PREVIEW_PX: Final = 256
DECODE_LIMIT_S: Final = 0.1
"""The most that decoding a preview may take: other jobs wait meanwhile."""
CHEAP_S: Final = 0.002
STEP_SHARE: Final = 0.1


def always() -> bool:
    """The VAE is on the device."""
    return True


class Previewer:
    """Makes pictures of the latents of one model. For the executor thread.

    It takes the best decoder that keeps previews cheap: the full one, else a tiny one, each only if it was measured to
    decode these latents in at most `CHEAP_S`, or in `STEP_SHARE` of one of the job's steps; else linear factors.

    Args:
        decoders: the better one first.
        limit_s: what decoding may take at the very most, however long the steps are.
        may_use_vae: asked each time; where the full decoder has to come to the device first, it would push the
            denoiser off it.
    """

    def __init__(
        self,
        factors: Factors,
        decoders: tuple[TimedDecoder, ...] = (),
        *,
        limit_s: float = DECODE_LIMIT_S,
        may_use_vae: Callable[[], bool] = always,
    ) -> None:
        self.factors = factors
        self._may_use_vae = may_use_vae
        self._decoders = decoders
        self._limit_s = limit_s

    def watch(self, scheduler: Any) -> "Watch":
        """Follow a job by its scheduler, before its first step."""
        return Watch(self, CleanLatents(scheduler))

    def method(self, places: int, step_s: float = 0.0) -> PreviewMethod:
        """How latents with so many places (h times w) are shown, in a job whose steps take `step_s`."""
        decoder = self._decoder(places, step_s)
        return PreviewMethod.LINEAR if decoder is None else decoder.method

    def thumbnail(self, latents: Tensor, max_px: int = PREVIEW_PX, step_s: float = 0.0) -> Bytes:
        """The device's share: one place or more to a pixel, and down to the CPU.

        Args:
            latents: (C, h, w), clean, as the denoiser sees them.
            step_s: what a step of the job takes; 0 if that is not known.

        Returns:
            (H, W, 3), RGB, no side longer than `max_px`; in memory of its own.
        """
        decoder = self._decoder(latents.shape[1] * latents.shape[2], step_s)
        if decoder is None:
            factors = self.factors if self.factors.channels == latents.shape[0] else grey(latents.shape[0])
            rgb = factors.project(_shrunk(latents, max_px))
        else:
            rgb = _shrunk(decode(decoder.vae, latents), max_px)
        pixels = rgb.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        made: Bytes = pixels.permute(1, 2, 0).contiguous().to("cpu").numpy()
        return made

    def _decoder(self, places: int, step_s: float) -> TimedDecoder | None:
        allowed_s = min(self._limit_s, max(CHEAP_S, STEP_SHARE * step_s))
        quick = [decoder for decoder in self._decoders if decoder.takes_s(places) <= allowed_s]
        if quick and quick[0].method is PreviewMethod.FULL_DECODER and not self._may_use_vae():
            del quick[0]
        return quick[0] if quick else None


class Watch:
    """One job's previews. For the executor thread, but for what `picture` returns."""

    def __init__(self, previewer: Previewer, clean: CleanLatents) -> None:
        self._previewer = previewer
        self._clean = clean

    def clean(self, latents: Tensor) -> Tensor:
        """What `latents`, of the pipeline, are expected to be without noise; themselves if that is not known."""
        clean = self._clean.latest()
        return latents if clean is None or clean.shape != latents.shape else clean.to(latents.dtype)

    def picture(self, latents: Tensor, size: Size, max_px: int = PREVIEW_PX) -> Callable[[], Bytes]:
        """What makes the preview of this moment: call it on the side pool.

        Args:
            latents: of the pipeline, shown if the scheduler's clean ones are not known; (N, C, h, w), or (N, T, 4C) as
                Flux packs them. The first of N is shown.
            size: of the picture, in pixels.

        Returns:
            Makes (H, W, 3) RGB uint8 with the proportions of `size` and no side longer than `max_px`.
        """
        shown = self.clean(latents)
        small = self._previewer.thumbnail(planes(shown.detach(), size), max_px, self._clean.step_s)
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


def _shrunk(planes_: Tensor, max_px: int) -> Tensor:
    """(C, h, w), averaged down until no side is longer than `max_px`."""
    height, width = planes_.shape[1:]
    scale = max_px / max(height, width)
    if scale >= 1:
        return planes_
    return functional.adaptive_avg_pool2d(
        planes_[None].float(), (max(1, round(height * scale)), max(1, round(width * scale)))
    )[0]
