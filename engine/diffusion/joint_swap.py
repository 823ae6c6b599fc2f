"""A refiner's denoiser in the place of the first model's, within one run of one pipeline."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from engine.diffusion.loaded import LoadedModel
from engine.diffusion.refiner import Cut
from engine.diffusion.scope import Proceed
from engine.diffusion.sizes import Size

_AESTHETIC: Final = 6.0
_NEGATIVE_AESTHETIC: Final = 2.5
"""What SDXL's refiner is told of how good the pictures of the prompt and of the negative prompt look: as diffusers."""
_WITH_AESTHETIC: Final = 5
"""Numbers a refiner is told; others are told the size to make, which are six."""


@dataclass(frozen=True, slots=True)
class _Takeover:
    cut: Cut
    given: Mapping[str, Any]


class JointSwap:
    """Of one job, around the forwards of its denoiser.

    Calls below the cut go to the refiner, with its own prompts and without what ControlNets and IP-Adapters add.
    """

    def __init__(self, base: LoadedModel, refiner: LoadedModel) -> None:
        self._base = base.denoiser
        self._refiner: Any = refiner.denoiser
        self._takeover: _Takeover | None = None

    @contextmanager
    def during(self, cut: Cut, prompts: Mapping[str, Any], size: Size) -> Iterator[None]:
        """Within it the picture that is made is handed over.

        Args:
            prompts: as the refiner's pipelines take them, encoded.
            size: the model works at.
        """
        self._takeover = _Takeover(cut, self._conditions(prompts, size))
        try:
            yield
        finally:
            self._takeover = None

    def __call__(self, module: Any, given: Mapping[str, Any], proceed: Proceed) -> Any:
        taken = self._takeover
        if taken is None or module is not self._base:
            return proceed(given)
        timestep = given["timestep"]
        if float(torch.as_tensor(timestep).reshape(-1)[0]) >= taken.cut.timestep:
            return proceed(given)
        # An inpainting model is shown the mask beside the latents.
        latents = given["sample"][:, : self._refiner.config.in_channels]
        return self._refiner(latents, timestep, **taken.given, return_dict=given.get("return_dict", True))

    def _conditions(self, prompts: Mapping[str, Any], size: Size) -> Mapping[str, Any]:
        pooled: Tensor = prompts["pooled_prompt_embeds"]
        config = self._refiner.config
        numbers = (
            self._refiner.add_embedding.linear_1.in_features - pooled.shape[-1]
        ) // config.addition_time_embed_dim
        sizes = [size.height, size.width, 0, 0]
        target = [size.height, size.width]
        told = [sizes + ([_AESTHETIC] if numbers == _WITH_AESTHETIC else target)]
        states = [prompts["prompt_embeds"]]
        texts = [pooled]
        if "negative_prompt_embeds" in prompts:
            told.insert(0, sizes + ([_NEGATIVE_AESTHETIC] if numbers == _WITH_AESTHETIC else target))
            states.insert(0, prompts["negative_prompt_embeds"])
            texts.insert(0, prompts["negative_pooled_prompt_embeds"])
        time_ids = torch.tensor(told, dtype=pooled.dtype, device=pooled.device)
        return {
            "encoder_hidden_states": torch.cat(states),
            "added_cond_kwargs": {"text_embeds": torch.cat(texts), "time_ids": time_ids},
        }
