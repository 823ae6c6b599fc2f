"""VAEs that work tile by tile: for one job, beside others that use them as they are, or for as long as it must be."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

TILE_PX: Final = 512

_METHODS: Final = ("encode", "decode")
_STATELESS_VAES: Final = frozenset({"AutoencoderKL", "AutoencoderTiny"})
"""Others may keep something of one picture between their tiles; those of video models do."""


def tiled(vae: Any, tile_px: int = TILE_PX) -> Any:
    """The same VAE, with the same weights, working in tiles of `tile_px` with faded seams.

    Pictures of up to one tile are worked on whole. Within a job each tile is a call of its own. A VAE of a kind that
    knows no tiles is given back as it is.
    """
    if not hasattr(vae, "tile_latent_min_size"):
        return vae
    twin = copy.copy(vae)
    # What is intercepted there is the whole of a picture; here only encoder and decoder are, for each tile.
    for method in _METHODS:
        vars(twin).pop(method, None)
    twin.use_tiling = True
    twin.tile_sample_min_size = tile_px
    twin.tile_latent_min_size = tile_px // 2 ** (len(vae.config.block_out_channels) - 1)
    return twin


@contextmanager
def in_tiles(vae: Any) -> Iterator[None]:
    """Within it the VAE works tile by tile, as far as the picture is larger than one."""
    was_tiling = vae.use_tiling
    vae.enable_tiling()
    try:
        yield
    finally:
        vae.use_tiling = was_tiling


def is_cut(vae: Any) -> bool:
    """Whether it works in tiles or pictures that other jobs may come between."""
    is_stateless = type(vae).__name__ in _STATELESS_VAES
    return is_stateless and bool(getattr(vae, "use_tiling", False) or getattr(vae, "use_slicing", False))
