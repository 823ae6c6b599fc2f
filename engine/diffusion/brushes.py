"""The BrushNet a job asked for: in memory, and what it is shown of the job's picture."""

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from engine.diffusion.brush_words import ENCODERS, BrushWords, words_loading
from engine.diffusion.brushnet_files import BRUSHNET
from engine.diffusion.control_pictures import Subject
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.offload import Placement
from engine.diffusion.parts import variant_of
from engine.diffusion.side_networks import check_kinship, check_likeness, of_another_family, side_network_loading
from engine.diffusion.studio import ReadyModel, Studio
from engine.images import to_tensor
from engine.interface import Call, EngineError
from engine.library.records import Family, FoundModel
from protocol.brushnet import BrushNet
from protocol.errors import ErrorCode

_FAMILIES: Final = frozenset({Family.SD1, Family.SD2, Family.SDXL})
"""Whose UNets see four channels, as the ones BrushNets were trained beside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyBrush:
    """A BrushNet in memory, and where its weights are.

    Attributes:
        words: what it reads by itself, of PowerPaint's; others with attention read the model's prompts.
    """

    net: Any
    placement: Placement
    words: BrushWords | None = None


@dataclass(frozen=True, slots=True)
class Brush:
    """The BrushNet of a job, and what the job wants of it."""

    ready: ReadyBrush
    ref: BrushNet

    def see(self, vae: Any, subject: Subject) -> Tensor:
        """What the network is given in every step. In a job's greenlet: it calls the encoder.

        Args:
            vae: that the job's latents are made with.
            subject: with its hole.

        Returns:
            (1, latent channels + 1, H, W): latents of the picture with a black hole, and 1 where it is kept. That is
            how the published networks were trained, which took one pixel of the mask for each latent.
        """
        assert subject.hole is not None, "only tasks with a hole have a BrushNet"
        hole = torch.from_numpy(subject.hole)[None, None]
        shown = to_tensor(subject.rgb) * (1 - hole)
        weight = next(vae.parameters())
        encoded = vae.encode((2 * shown - 1).to(weight.device, weight.dtype))
        # The middle of what the encoder is unsure between: drawing would cost the picture's own noise a number.
        latents = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents
        latents = latents * vae.config.scaling_factor
        kept = functional.interpolate(1 - hole, size=latents.shape[-2:]).to(latents)
        return torch.cat([latents, kept], dim=1)


def check_brush(model: LoadedModel) -> None:
    """Raises EngineError: `invalid_params`; BrushNets mean nothing to this model."""
    if model.family not in _FAMILIES:
        message = (
            f"brushnet: {model.name!r} is of the family {model.family}, which takes none; "
            f"{', '.join(sorted(_FAMILIES))} do, at $.params.brushnet"
        )
        raise EngineError(ErrorCode.INVALID_PARAMS, message)


def choose_brush(studio: Studio, found: FoundModel, model: ReadyModel) -> Generator[Call, Any, ReadyBrush]:
    """The BrushNet in memory, loaded if it is not. Use with `yield from`.

    Raises:
        EngineError: `bad_model`: it cannot be loaded; `invalid_params`: it is made for another family.
    """
    unet: Any = model.loaded.denoiser
    check_kinship(BRUSHNET, found, model)
    variant = variant_of(found, unet.config, model.loaded.dtype)
    ready = yield from studio.part(found, variant, partial(_load, studio, found, model.loaded), model.loaded)
    check_likeness(BRUSHNET, found, model, ready.net)
    width = ready.net.config.cross_attention_dim
    if ready.net.reads and ready.words is None and width != unet.config.cross_attention_dim:
        raise of_another_family(BRUSHNET, found, model, f"reads a text of width {width!r:.80}")
    return ready


def _load(studio: Studio, found: FoundModel, model: LoadedModel) -> Generator[Call, Any, ReadyBrush]:
    net = yield from side_network_loading(BRUSHNET, found, model)
    words = None
    if net.reads:
        words = yield from words_loading(found, net.config.cross_attention_dim, model)
    components = {BRUSHNET.part: net} if words is None else {BRUSHNET.part: net, ENCODERS[0]: words.module}
    placement = yield from studio.take_in(components, model)
    return ReadyBrush(net=net, placement=placement, words=words)
