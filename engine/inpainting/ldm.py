"""`ldm`: inpainting by latent diffusion, in as many steps as asked for.

Three TorchScript files: an encoder of the masked picture to latents a quarter of its size, a denoiser of such
latents, and a decoder. The sampling between them is here, each denoising a call of its own.

Source: Rombach et al., High-resolution image synthesis with latent diffusion models, 2022; Song et al., Denoising
diffusion implicit models, 2021; Liu et al., Pseudo numerical methods for diffusion models on manifolds, 2022. Noise
levels, scales and the choice of timesteps are those of IOPaint 1.6.0, so equal noise gives equal pictures.
"""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from engine.images import Bytes
from engine.inpainting.descriptor import EraseModelSpec, EraseOptions, Filling
from engine.inpainting.published import FILES, LICENCES, TITLES
from engine.inpainting.tensors import mask_tensor, of_shape, picture_tensor, truncated_picture
from engine.inpainting.torchscript import Script, open_scripts
from engine.interface import Call
from protocol.erasing import EraseModel, LdmSampler

_LATENT_CHANNELS: Final = 3
_REDUCTION: Final = 4
_TIMESTEPS: Final = 1000
_FIRST_BETA: Final = 0.0015
_LAST_BETA: Final = 0.0205
_EMBEDDING_WIDTH: Final = 256
_LONGEST_PERIOD: Final = 10_000

Predict: TypeAlias = Callable[[Tensor, int], Generator[Call, Any, Tensor]]
"""The noise in latents (1, 3, h, w) at a timestep, as the calls that find it."""


@dataclass(frozen=True, slots=True)
class Level:
    """One step of the way down.

    Attributes:
        timestep: what the denoiser is told.
        signal, next_signal: how much of the picture is in the latents here and after the step, 0..1 (alpha bar).
    """

    timestep: int
    signal: float
    next_signal: float


class LdmNetwork:
    """See the module. Implements `engine.inpainting.descriptor.EraseNetwork`.

    Args:
        encode: (1, 3, H, W) in [-1, 1], black where masked, to (1, 3, H/4, W/4).
        decode: (1, 3, H/4, W/4) to (1, 3, H, W) in [-1, 1].
        denoise: latents (1, 3, h, w), embedding of the timestep (1, 256), condition (1, 4, h, w) to the noise
            (1, 3, h, w).
    """

    def __init__(self, encode: Script, decode: Script, denoise: Script, device: str, dtype: torch.dtype) -> None:
        self._encode = encode
        self._decode = decode
        self._denoise = denoise
        self._device = device
        self._dtype = dtype

    @property
    def size_bytes(self) -> int:
        return self._encode.size_bytes + self._decode.size_bytes + self._denoise.size_bytes

    def __call__(self, image: Bytes, mask: Bytes, options: EraseOptions) -> Filling:
        levels = noise_levels(options.ldm_steps)
        condition: Tensor = yield Call(partial(self._condition, image, mask), stage="encode")
        latents = self._noise(condition, options.seed)

        def predict(noisy: Tensor, timestep: int) -> Generator[Call, Any, Tensor]:
            noise: Tensor = yield Call(partial(self._predict, noisy, timestep, condition), stage="step")
            return noise

        sample = _SAMPLERS[options.ldm_sampler]
        latents = yield from sample(latents, levels, predict, options.on_step or _nobody)
        result: Bytes = yield Call(partial(self._picture, latents), stage="decode")
        return result

    @torch.no_grad()
    def _condition(self, image: Bytes, mask: Bytes) -> Tensor:
        """The latents of what is kept, and the mask in their size: (1, 4, h, w)."""
        hole = mask_tensor(mask, self._device)
        kept = picture_tensor(image, self._device) * (1 - hole)
        encoded = self._encode((kept * 2 - 1).to(self._dtype))
        size = (mask.shape[0] // _REDUCTION, mask.shape[1] // _REDUCTION)
        latents = of_shape(encoded, (1, _LATENT_CHANNELS, *size), "ldm, encoder")
        small = functional.interpolate(hole * 2 - 1, size=size)
        return torch.cat((latents.float(), small), 1)

    def _noise(self, condition: Tensor, seed: int) -> Tensor:
        # On the CPU, whatever the device: a seed means the same picture everywhere.
        generator = torch.Generator().manual_seed(seed)
        shape = (1, _LATENT_CHANNELS, *condition.shape[2:])
        return torch.randn(shape, generator=generator).to(self._device)

    @torch.no_grad()
    def _predict(self, noisy: Tensor, timestep: int, condition: Tensor) -> Tensor:
        embedding = embed(timestep).to(self._device, self._dtype)
        noise = self._denoise(noisy.to(self._dtype), embedding, condition.to(self._dtype))
        return of_shape(noise, tuple(noisy.shape), "ldm, denoiser").float()

    @torch.no_grad()
    def _picture(self, latents: Tensor) -> Bytes:
        height, width = (side * _REDUCTION for side in latents.shape[2:])
        decoded = of_shape(self._decode(latents.to(self._dtype)), (1, 3, height, width), "ldm, decoder")
        return truncated_picture((decoded.float() + 1) / 2)


def noise_levels(steps: int) -> list[Level]:
    """The way from noise to a picture in about `steps` steps, the noisiest first.

    The timesteps are evenly spaced from 1, so there may be a few more than asked for: 31 for 30.

    Args:
        steps: 1..1000.
    """
    betas = torch.linspace(_FIRST_BETA**0.5, _LAST_BETA**0.5, _TIMESTEPS, dtype=torch.float64) ** 2
    signal = torch.cumprod(1 - betas, 0).tolist()
    # The very last one is out of reach when every timestep is taken.
    timesteps = [min(first + 1, _TIMESTEPS - 1) for first in range(0, _TIMESTEPS, _TIMESTEPS // steps)]
    after = [0, *timesteps[:-1]]
    return [Level(now, signal[now], signal[then]) for now, then in zip(timesteps, after, strict=True)][::-1]


def embed(timestep: int) -> Tensor:
    """A timestep as waves of many lengths: (1, 256), cosines before sines.

    Source: Vaswani et al., Attention is all you need, 2017, section 3.5.
    """
    half = _EMBEDDING_WIDTH // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32) * (-math.log(_LONGEST_PERIOD) / half))
    angles = timestep * frequencies
    return torch.cat((angles.cos(), angles.sin()))[None]


def _ddim(
    latents: Tensor, levels: Sequence[Level], predict: Predict, told: Callable[[int, int], None]
) -> Generator[Call, Any, Tensor]:
    """The implicit sampler without noise of its own: one prediction a step."""
    for done, level in enumerate(levels, 1):
        noise = yield from predict(latents, level.timestep)
        latents = _step(latents, noise, level)
        told(done, len(levels))
    return latents


def _plms(
    latents: Tensor, levels: Sequence[Level], predict: Predict, told: Callable[[int, int], None]
) -> Generator[Call, Any, Tensor]:
    """The linear multistep sampler: each step leans on the noise of up to three before it."""
    before: list[Tensor] = []
    for index, level in enumerate(levels):
        noise = yield from predict(latents, level.timestep)
        if before:
            weights = _ADAMS_BASHFORTH[len(before)]
            guess = sum((weight * each for weight, each in zip(weights, (noise, *before), strict=True)), noise * 0)
        else:  # there is nothing to lean on: look one step ahead, and take the mean
            after = levels[min(1, len(levels) - 1)]
            guess = (noise + (yield from predict(_step(latents, noise, level), after.timestep))) / 2
        latents = _step(latents, guess, level)
        before = [noise, *before][:3]
        told(index + 1, len(levels))
    return latents


_ADAMS_BASHFORTH: Final = {
    1: (3 / 2, -1 / 2),
    2: (23 / 12, -16 / 12, 5 / 12),
    3: (55 / 24, -59 / 24, 37 / 24, -9 / 24),
}
"""How many predictions there are before this one -> what each counts, the newest first."""
_SAMPLERS: Final = {LdmSampler.PLMS: _plms, LdmSampler.DDIM: _ddim}


def _step(latents: Tensor, noise: Tensor, level: Level) -> Tensor:
    """Go from one level to the next, if this is the noise in the latents."""
    clean = (latents - math.sqrt(1 - level.signal) * noise) / math.sqrt(level.signal)
    return math.sqrt(level.next_signal) * clean + math.sqrt(1 - level.next_signal) * noise


def _nobody(_done: int, _of: int) -> None:
    """Nobody wants to know."""


def _load(paths: Sequence[Path], device: str, dtype: torch.dtype) -> LdmNetwork:
    encode, decode, denoise = open_scripts(paths, device, dtype)
    return LdmNetwork(encode, decode, denoise, device, dtype)


LDM: Final = EraseModelSpec(
    name=EraseModel.LDM,
    title=TITLES[EraseModel.LDM],
    source="Rombach et al., High-resolution image synthesis with latent diffusion models, 2022",
    licence=LICENCES[EraseModel.LDM].name,
    is_commercial=LICENCES[EraseModel.LDM].is_commercial,
    load=_load,
    files=FILES[EraseModel.LDM],
    pad_multiple=32,
    is_half_on_cuda=True,
)
