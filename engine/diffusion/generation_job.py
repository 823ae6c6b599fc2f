"""All that is known of a generating job once its model is in memory, for whatever makes a part of its pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.diffusion.additions import Additions
from engine.diffusion.families import PipelineKind
from engine.diffusion.guidance import embeds_guidance
from engine.diffusion.scene import Scene
from engine.diffusion.studio import ReadyModel, Studio
from engine.diffusion.tiled_vae import tiled
from engine.images import Floats, decode, on_white
from engine.interface import Run, RunContext
from engine.made import Take
from protocol.generation import GenerationParams


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationJob:
    """One job. For the executor thread, except where a method says otherwise."""

    run: Run
    params: GenerationParams
    context: RunContext
    studio: Studio
    model: ReadyModel
    additions: Additions
    kind: PipelineKind
    scene: Scene
    tile_px: int | None = None
    take: Take | None = None
    """Gets the pictures; None makes outputs of them."""
    _told: set[str] = field(default_factory=set)

    @property
    def steps(self) -> int:
        """Asked for, or the model's own."""
        return self.model.loaded.defaults.steps if self.params.steps is None else self.params.steps

    @property
    def guidance_scale(self) -> float:
        """Asked for, or the model's own."""
        asked = self.params.guidance_scale
        return self.model.loaded.defaults.guidance_scale if asked is None else asked

    def is_guided(self, model: ReadyModel) -> bool:
        """Whether the denoiser of `model` is called for a negative prompt as well."""
        return self.guidance_scale > 1 and not embeds_guidance(model.loaded)

    @property
    def vae(self) -> Any:
        """What makes pictures of the job's latents."""
        vae = (self.additions.vae or self.model.loaded).vae
        return vae if self.tile_px is None else tiled(vae, self.tile_px)

    def read_all(self, parameter: str) -> list[Floats]:
        """The pictures in the items of a parameter. On the side pool."""
        return [self.read(f"{parameter}[{number}].image") for number in range(len(getattr(self.params, parameter)))]

    def read(self, name: str) -> Floats:
        """One of the pictures of the request, whole. On the side pool."""
        return on_white(decode(self.run.inputs[name], warn=self.context.warn))

    def data(self) -> Mapping[str, Any]:
        """What the pictures are made with, where the request left it open."""
        return {
            "model": self.model.found.name,
            "steps": self.steps,
            "guidance_scale": self.guidance_scale,
            "generated_width": self.scene.size.width,
            "generated_height": self.scene.size.height,
        }

    def warn_each(self, code: str, message: str) -> None:
        """Once per job and message, for what can be wrong at several places."""
        if message not in self._told:
            self._told.add(message)
            self.context.warn(code, message)

    def warn(self, code: str, message: str) -> None:
        """Once per job and code, however many images there are."""
        if code not in self._told:
            self._told.add(code)
            self.context.warn(code, message)
