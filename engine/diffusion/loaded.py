"""A model in memory: its parts, shared by all jobs, and pipelines over them."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import nn

from engine.diffusion.families import FAMILIES, ModelDefaults, PipelineKind
from engine.diffusion.offload import Placement
from engine.interface import EngineError
from engine.library.records import Family
from protocol.errors import ErrorCode

_VERBS: Final = {
    PipelineKind.TEXT_TO_IMAGE: "make pictures from text alone",
    PipelineKind.IMAGE_TO_IMAGE: "start from a picture",
    PipelineKind.INPAINT: "inpaint",
}


@dataclass(eq=False, kw_only=True)
class LoadedModel:
    """A model in memory. For the executor thread.

    Attributes:
        components: by the names diffusers gives them: `unet` or `transformer`, `vae`, `text_encoder`, `tokenizer` and
            so on; None for a part this family can do without.
        pipeline_class: the diffusers class it was saved as.
        settings: what that class was saved with beside its components.
        scheduler_config: of the scheduler it was saved with, with its `_class_name`.
        device: where it calculates.
        dtype: of the denoiser and the text encoders; the VAE may be kept in a wider one.
        placement: where its weights are while they are not at work; None is on the device.
    """

    name: str
    family: Family
    components: dict[str, Any]
    pipeline_class: str
    settings: Mapping[str, Any]
    scheduler_config: Mapping[str, Any]
    defaults: ModelDefaults
    device: torch.device
    dtype: torch.dtype
    placement: Placement | None = None
    _classes: dict[PipelineKind, Any] = field(default_factory=dict, repr=False)

    @property
    def home(self) -> torch.device:
        """Where weights are to be put that go with it."""
        at_home = None if self.placement is None else self.placement.home
        return at_home or self.device

    @property
    def denoiser(self) -> nn.Module:
        module: nn.Module = self.components[self.denoiser_name]
        return module

    @property
    def denoiser_name(self) -> str:
        """`unet` or `transformer`."""
        return "unet" if self.components.get("unet") is not None else "transformer"

    @property
    def vae(self) -> Any:
        return self.components["vae"]

    def modules(self) -> Iterator[tuple[str, nn.Module]]:
        """Every component with weights."""
        return ((name, part) for name, part in self.components.items() if isinstance(part, nn.Module))

    @property
    def size_bytes(self) -> int:
        """Of all weights and buffers in memory, each counted once."""
        return sum(module_bytes(part) for _, part in self.modules())

    def can(self, kind: PipelineKind) -> bool:
        """Whether there is a pipeline of this kind for the model."""
        return self._class_of(kind) is not None

    def check_can(self, kind: PipelineKind) -> None:
        """Raises EngineError: `invalid_params`; there is no pipeline of this kind. The message says which there are."""
        if not self.can(kind):
            able = [verb for other, verb in _VERBS.items() if self.can(other)]
            can = f"; it can {' and '.join(able)}" if able else ""
            raise EngineError(ErrorCode.INVALID_PARAMS, f"model: {self.name!r} cannot {_VERBS[kind]}{can}")

    def pipeline_class_for(self, kind: PipelineKind) -> Any:
        """The diffusers class of this kind of pipeline.

        Raises:
            EngineError: `invalid_params`; the model cannot do this.
        """
        self.check_can(kind)
        return self._class_of(kind)

    def pipeline(self, kind: PipelineKind, scheduler: Any, *, of_class: Any = None, **replaced: Any) -> Any:
        """A new stock pipeline over the shared components; costs some milliseconds and no memory worth the name.

        Args:
            scheduler: the job's own; never shared, since it keeps the state of a run.
            of_class: another diffusers class than the one `kind` stands for, as for ControlNet.
            replaced: components or settings to use instead of the model's own, or beside them.

        Raises:
            EngineError: `invalid_params`; the model cannot do this.
        """
        pipeline_class = of_class or self.pipeline_class_for(kind)
        given = {**self.settings, "requires_safety_checker": False, **self.components, **replaced}
        given["scheduler"] = scheduler
        parameters = inspect.signature(pipeline_class.__init__).parameters
        arguments = {name: given[name] for name in parameters if name in given}
        needed = [
            name
            for name, parameter in parameters.items()
            if parameter.default is parameter.empty
            and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            and name not in arguments
            and name != "self"
        ]
        # What a class asks for and the model was saved without: the safety checker, mostly.
        arguments |= dict.fromkeys(needed)
        pipeline = pipeline_class(**arguments)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def _class_of(self, kind: PipelineKind) -> Any:
        if kind not in self._classes:
            self._classes[kind] = self._find_class(kind)
        return self._classes[kind]

    def _find_class(self, kind: PipelineKind) -> Any:
        import diffusers

        if self.family is not Family.OTHER:
            name = FAMILIES[self.family].pipelines.get(kind)
            return None if name is None else getattr(diffusers, name)
        # Imports every pipeline there is, hence only for models that no other way knows.
        from diffusers.pipelines import auto_pipeline

        maps = {
            PipelineKind.TEXT_TO_IMAGE: auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING,
            PipelineKind.IMAGE_TO_IMAGE: auto_pipeline.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING,
            PipelineKind.INPAINT: auto_pipeline.AUTO_INPAINT_PIPELINES_MAPPING,
        }
        for known in maps.values():
            for model, saved_as in known.items():
                if saved_as.__name__ == self.pipeline_class:
                    return maps[kind].get(model)
        if kind is PipelineKind.TEXT_TO_IMAGE:
            return getattr(diffusers, self.pipeline_class, None)
        return None


def module_bytes(module: nn.Module) -> int:
    """Of all weights and buffers of a module, shared ones counted once."""
    tensors = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
