"""Which patch a request for inpainting lays over its model, if it can."""

from collections.abc import Callable

from engine.diffusion.inpaint_patches import FILES, HEAD, PatchFiles
from engine.diffusion.studio import Studio
from engine.library.records import Family, FoundModel
from protocol.holes import HoleParams
from protocol.params import Frozen


def patch_for(params: Frozen, found: FoundModel, studio: Studio, warn: Callable[[str, str], None]) -> PatchFiles | None:
    """The patch that was asked for; None without one, or if it cannot be used. On the side pool.

    Args:
        params: of any task.
        warn: told of `inpaint_patch_unused`.
    """
    if not isinstance(params, HoleParams) or params.inpaint_patch is None:
        return None
    if found.family is not Family.SDXL:
        warn(
            "inpaint_patch_unused", f"inpaint_patch: {found.name!r} is of the family {found.family}, not {Family.SDXL}"
        )
        return None
    patch = studio.inpaint_patch(params.inpaint_patch)
    if patch is None:
        files = f"{FILES[params.inpaint_patch]} and {HEAD}"
        warn(
            "inpaint_patch_unused", f"inpaint_patch: {files} are not both in the folder 'inpaint' of the models folder"
        )
    return patch
