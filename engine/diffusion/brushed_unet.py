"""A UNet with a BrushNet beside it, as a stock pipeline calls it; and how what that tells reaches the UNet's layers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from engine.diffusion.brushnet import points, tensor_of
from engine.diffusion.scope import AdapterState
from protocol.brushnet import BrushNet

_TOLD: Final = "brushnet_residuals"
"""Under which the UNet is given them: among its additional conditions, whose rows are joined like all others."""
_SIZE_AND_TEXT: Final = ("text_embeds", "time_ids")


@dataclass(frozen=True, slots=True, kw_only=True)
class Brushwork:
    """What a BrushNet is given in all steps of a job.

    Attributes:
        seen: (1, channels, H, W): latents of what is kept of the picture, and where that is.
        text: (1 or 2, tokens, width): task prompts, with guidance the negative first; None takes the UNet's own.
    """

    net: Any
    ref: BrushNet
    seen: Tensor
    text: Tensor | None = None


class BrushedUnet:
    """Stands in for a UNet in one run of a pipeline: calls the BrushNet, then the UNet with what that told.

    Everything else it is asked for is the UNet's. In a job's greenlet.

    Args:
        steps: how many the run has; asked at the first, with its timestep.
    """

    def __init__(self, unet: Any, work: Brushwork, steps: Callable[[Any], int]) -> None:
        self._unet = unet
        self._work = work
        self._steps = steps
        self._at = 0
        self._of = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unet, name)

    def __call__(self, sample: Tensor, timestep: Any, **given: Any) -> Any:
        if self._at == 0:
            self._of = self._steps(timestep)
        self._at += 1
        if not self._is_on():
            return self._unet(sample, timestep, **given)
        conditions = dict(given.pop("added_cond_kwargs", None) or {})
        told = self._tell(sample, timestep, conditions, given["encoder_hidden_states"])
        return self._unet(sample, timestep, added_cond_kwargs={**conditions, _TOLD: told}, **given)

    def _is_on(self) -> bool:
        """Whether it counts in this step; of shares of the steps as ControlNets have them in diffusers."""
        ref, of = self._work.ref, max(self._of, self._at)
        return ref.scale > 0 and (self._at - 1) / of >= ref.start and self._at / of <= ref.end

    def _tell(self, sample: Tensor, timestep: Any, conditions: Mapping[str, Any], text: Tensor) -> list[Tensor]:
        work, config, rows = self._work, self._work.net.config, len(sample)
        more: dict[str, Any] = {}
        if work.net.reads:
            more["encoder_hidden_states"] = text if work.text is None else work.text.to(text.device, text.dtype)
        if config.addition_embed_type is not None:
            more["added_cond_kwargs"] = {name: conditions[name] for name in _SIZE_AND_TEXT}
        told: list[Tensor] = work.net(
            sample,
            timestep,
            work.seen.to(sample.device, sample.dtype).expand(rows, -1, -1, -1),
            # A row each, so that jobs may share a forward whatever their scales.
            torch.full((rows,), float(work.ref.scale), dtype=torch.float32, device=sample.device),
            **more,
        )
        return told


def brush_state(unet: nn.Module) -> AdapterState:
    """Has `unet` add what it is told to what leaves its layers. The same for every BrushNet: all do no more."""
    laid = _Listening(unet)
    return AdapterState(("brushnet",), laid.lay_over, laid.lift_off)


class _Listening:
    """What is laid over one UNet while calls run that bring something to add."""

    def __init__(self, unet: Any) -> None:
        self._unet = unet
        self._hooks: list[Any] = []
        self._told: Iterator[Tensor] = iter(())

    def lay_over(self, module: nn.Module) -> None:
        is_listener = module is self._unet
        if not is_listener:
            return
        # Called at the beginning of every forward, with all conditions, and before the first layer.
        self._unet.get_aug_embed = partial(self._listen, self._unet.get_aug_embed)
        places = points(self._unet, self._unet.conv_in)
        self._hooks = [place.register_forward_hook(self._add) for place in places]

    def lift_off(self, module: nn.Module) -> None:
        is_listener = module is self._unet
        if not is_listener:
            return
        del self._unet.get_aug_embed
        for hook in self._hooks:
            hook.remove()
        self._told = iter(())

    def _listen(self, embed: Callable[..., Any], **given: Any) -> Any:
        self._told = iter((given.get("added_cond_kwargs") or {}).get(_TOLD, ()))
        return embed(**given)

    def _add(self, _layer: nn.Module, _given: Any, made: Any) -> Any:
        told = next(self._told, None)  # the layers come in the order of the points
        if told is None:
            return made
        added = tensor_of(made) + told
        return (added,) if isinstance(made, tuple) else added
