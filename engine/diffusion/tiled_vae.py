"""A VAE that one job has work tile by tile, beside other jobs that use it as it is."""

import copy
from typing import Any, Final

TILE_PX: Final = 512

_METHODS: Final = ("encode", "decode")


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
