"""What of a pipeline is intercepted, by the names of its components in diffusers."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from torch.nn import Module

from engine.diffusion.batching import RowLimit
from engine.diffusion.interception import Interception, Spare, Wait, never, settled
from engine.diffusion.pace import Pace
from engine.diffusion.place import ALL_THERE, Place
from engine.diffusion.tiled_vae import in_tiles, is_cut


def intercept_forward(
    module: Module,
    *,
    stage: str,
    group: bool,
    wait: Wait = settled,
    pace: Callable[[], RowLimit] = Pace,
    place: Place = ALL_THERE,
) -> Interception:
    """Intercept a module's forward, outside of whatever hooks it has now.

    Args:
        stage: names its calls in timings.
        group: whether several jobs may share one forward; then every output has to depend on its own row alone.
        wait: for a device that works on its own; called at the end of every run.
        pace: makes what decides how many rows a forward takes, for each shape of arguments.
        place: where its weights are.

    Raises:
        ValueError: it is intercepted already.
    """
    return Interception(module, "forward", stage=stage, group=group, wait=wait, pace=pace, place=place)


def intercept_method(
    module: Module,
    name: str,
    *,
    stage: str,
    wait: Wait = settled,
    is_inline: Callable[[], bool] = never,
    spare: Spare | None = None,
    place: Place = ALL_THERE,
) -> Interception:
    """Intercept another method, as calls that are never grouped.

    Args:
        is_inline: if true when it is called, the method runs in the job, and what it calls in turn are the calls: the
            tiles of a decode.
        spare: for a second try, after a call ran out of memory.
        place: where its weights are.

    Raises:
        ValueError: it is intercepted already.
    """
    return Interception(
        module, name, stage=stage, group=False, wait=wait, is_inline=is_inline, spare=spare, place=place
    )


def intercept_components(
    components: Mapping[str, object],
    *,
    wait: Wait = settled,
    pace: Callable[[], RowLimit] = Pace,
    place: Place = ALL_THERE,
) -> list[Interception]:
    """Intercept what is expensive among the components of a pipeline, by their names in diffusers.

    A VAE that tiles gives one call for each tile, else one for the whole picture.
    """
    return [
        made
        for name, each in components.items()
        if isinstance(each, Module)
        for made in _all(name, each, wait, pace, place)
    ]


def _all(name: str, module: Module, wait: Wait, pace: Callable[[], RowLimit], place: Place) -> Iterator[Interception]:
    forward = partial(intercept_forward, wait=wait, pace=pace, place=place)
    if name in ("unet", "transformer", "transformer_2", "prior"):
        yield forward(module, stage="denoise", group=True)
    elif name in ("controlnet", "brushnet"):
        # Several at once are a module that calls each in turn.
        for net in getattr(module, "nets", [module]):
            yield forward(net, stage="control", group=True)
    elif name == "vae":
        for method, part in (("encode", "encoder"), ("decode", "decoder")):
            if not hasattr(module, method):
                continue
            spare = in_tiles if hasattr(module, "enable_tiling") else None
            in_parts = partial(is_cut, module)
            yield intercept_method(
                module, method, stage=method, wait=wait, is_inline=in_parts, spare=spare, place=place
            )
            if isinstance(inner := getattr(module, part, None), Module):
                yield forward(inner, stage=method, group=False)
    elif name.startswith(("text_encoder", "image_encoder")):
        yield forward(module, stage="prompt", group=False)
