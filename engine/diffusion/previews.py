"""Previews of a model's jobs: its previewer is made when it is loaded. Finds its factors, and times its decoders.

previewer_for      a model's `Previewer`; that gives each job a `Watch`, which makes its pictures
"""

import math
import time
from collections.abc import Callable, Generator, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
import torch
from torch import Tensor

from engine.diffusion.latent_decoders import Decoder, PreviewMethod, TimedDecoder, encode, places_px, timed
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
from engine.diffusion.previewer import DECODE_LIMIT_S, Previewer, Watch, always
from engine.interface import Call, Where

__all__ = ["Previewer", "Watch", "previewer_for"]

logger = structlog.get_logger(__name__)

_FIT_LIMIT_S: Final = 3.0
"""No further pictures are encoded for a fit once it has taken this long; a few are enough for a rough one."""
_FIT_BATCH: Final = 8
_SURELY_DEAR: Final = 100
"""A decoder that took this many times the limit is not timed again."""


def previewer_for(
    loaded: Any,
    cache_dir: Path | None = None,
    *,
    tiny_vae: Decoder | None = None,
    limit_s: float = DECODE_LIMIT_S,
    may_use_vae: Callable[[], bool] = always,
    place_s: MutableMapping[PreviewMethod, float] | None = None,
) -> Generator[Call, Any, Previewer]:
    """The previewer of a loaded model. Use with `yield from`; takes some seconds at most, cut into calls.

    Args:
        loaded: has the `vae`, and the `width` and `height` of its `defaults`.
        cache_dir: where fitted factors are kept.
        tiny_vae: a small decoder of the same latents, if its weights are there.
        limit_s: the most that decoding one preview may take.
        may_use_vae: whether previews may be decoded by the VAE; asked for each.
        place_s: what decoders of this model took per place of the latents when it was loaded before. Those that are
            not in it are timed, and put there; so are those that took too long then, for it may have been the machine.
    """
    place_s = {} if place_s is None else place_s
    vae = loaded.vae
    if vae is None:
        return Previewer(grey(4))
    try:
        factors = yield from _factors_of(vae, cache_dir)
        places = places_px(vae.config)
        wanted = math.ceil(loaded.defaults.width / places) * math.ceil(loaded.defaults.height / places)
        decoders = []
        for method, decoder in (
            (PreviewMethod.FULL_DECODER, vae if may_use_vae() else None),
            (PreviewMethod.TINY_DECODER, tiny_vae),
        ):
            if decoder is None:
                continue
            known_s = place_s.get(method)
            if known_s is None or 1 < wanted * known_s / limit_s < _SURELY_DEAR:
                took_s = yield from timed(decoder, wanted, factors.channels, limit_s)
                place_s[method] = took_s if known_s is None else min(took_s, known_s)
            decoders.append(TimedDecoder(decoder, method, place_s[method]))
    except Exception:  # a VAE of a kind nobody thought of: the model works without previews in colour
        logger.exception("preview.unfitted", vae=type(vae).__name__)
        return Previewer(grey(4))
    return Previewer(factors, tuple(decoders), limit_s=limit_s, may_use_vae=may_use_vae)


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
    pictures: Tensor = yield Call(partial(fit_pictures, places_px(vae.config)), Where.POOL, "load")
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
