"""From a request to pictures: what all generating tasks do, whatever they start from.

It runs in a greenlet. Wherever the stock pipeline calls one of the model's networks, the executor decides when that
call is run, and with whose: see `engine.diffusion.interception`.
"""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias, cast

import torch
from torch import Tensor

from engine.diffusion.additions import Additions, bring_additions
from engine.diffusion.control_pictures import Subject, control_picture
from engine.diffusion.families import PipelineKind
from engine.diffusion.guidance import embeds_guidance
from engine.diffusion.plain_prompts import plain_prompts
from engine.diffusion.previews import Watch
from engine.diffusion.prompt_source import say_nothing
from engine.diffusion.refiner import Refiner
from engine.diffusion.schedulers import Scheduler, eta_for, make_scheduler, total_steps
from engine.diffusion.scope import JobScope, job_scope
from engine.diffusion.sizes import Size
from engine.diffusion.studio import ReadyModel, Studio
from engine.diffusion.unused import tell_unused
from engine.images import Floats, Picture, decode, encode, from_tensor, on_white, to_tensor
from engine.interface import Call, EncodedImage, Run, RunContext, Steps, Where
from engine.library.records import Family, FoundModel
from engine.steps import await_call, await_steps, blocking
from protocol.generation import GenerationParams

_SEEDS: Final = 2**32
_DENOISED: Final = 0.95
"""Progress of an image when its last step is done; decoding it is the rest."""
_XL: Final = frozenset({Family.SDXL, Family.SDXL_INPAINT, Family.SDXL_REFINER})


class Scene(Protocol):
    """What a picture is made from, and what becomes of what the model makes."""

    @property
    def size(self) -> Size:
        """At which the model works."""
        ...

    def arguments(self) -> Mapping[str, Any]:
        """What the pipeline is given beside prompt and sampling."""
        ...

    @property
    def subject(self) -> Subject | None:
        """The job's own picture, at the size the model works at; None if it has none. On the side pool."""
        ...

    def guide(self, picture: Floats) -> Floats:
        """A picture that lies over the whole output, as the model has to see it. On the side pool.

        Args:
            picture: (H, W, 3) of any size.

        Returns:
            (size.height, size.width, 3).
        """
        ...

    def finish(self, generated: Floats) -> Picture:
        """The output. On the side pool.

        Args:
            generated: (size.height, size.width, 3), RGB in [0, 1].
        """
        ...


Compose: TypeAlias = Callable[[Run, RunContext, ReadyModel], Scene]
"""Reads what the picture is made from. On the side pool."""


def generate(run: Run, context: RunContext, studio: Studio, kind: PipelineKind, compose: Compose) -> Steps:
    """Make the pictures of a generating task, one output each.

    Image i of a job is the picture a job for one image with the seed `seed` + i makes.

    Raises:
        EngineError: `model_missing`, `bad_model`; `invalid_params`: the model cannot do this; `bad_image`.
    """
    return blocking(partial(_generate, run, context, studio, kind, compose))


def seed_of(run: Run) -> int:
    """The seed of a job's first image: the one asked for, or one of the job's own, the same at every attempt."""
    assert isinstance(run.params, GenerationParams)
    if run.params.seed is not None:
        return run.params.seed
    return int.from_bytes(hashlib.sha256(run.job_id.encode()).digest()[:4])


def _generate(run: Run, context: RunContext, studio: Studio, kind: PipelineKind, compose: Compose) -> None:
    assert isinstance(run.params, GenerationParams)
    # Beside the device: it may have to look through folders.
    found = cast("FoundModel", await_call(Call(partial(studio.find, run.params.model), Where.POOL, "read")))
    model = await_steps(studio.ready(found))
    # Until the last picture is made nobody's need for room takes the weights away.
    with ExitStack() as held:
        held.enter_context(studio.in_use(model))
        model.loaded.check_can(kind)
        additions = bring_additions(studio, run.params, model, held, context.warn)
        scene = cast("Scene", await_call(Call(partial(compose, run, context, model), Where.POOL, "read")))
        _Generation(run, context, studio, model, additions, kind, scene).make_all()


class _Generation:
    """One job's way from its settings to its outputs."""

    def __init__(
        self,
        run: Run,
        context: RunContext,
        studio: Studio,
        model: ReadyModel,
        additions: Additions,
        kind: PipelineKind,
        scene: Scene,
    ) -> None:
        assert isinstance(run.params, GenerationParams)
        self._params = run.params
        self._run = run
        self._context = context
        self._studio = studio
        self._model = model
        self._additions = additions
        self._kind = kind
        self._scene = scene
        self._told: set[str] = set()
        self._refiner_prompt: Mapping[str, Any] = {}
        defaults = model.loaded.defaults
        self._steps = defaults.steps if self._params.steps is None else self._params.steps
        guidance = self._params.guidance_scale
        self._guidance = defaults.guidance_scale if guidance is None else guidance

    def make_all(self) -> None:
        with job_scope(JobScope(self._additions.adapters, deterministic=self._params.deterministic)):
            known = _parameters(self._pipeline(self._scheduler(self._model)))
            tell_unused(self._params, known, self._warn)
            given = {**self._encode_prompt(self._model, known), **self._scene.arguments(), **self._guides()}
            if self._additions.refiner is not None:
                self._refiner_prompt = self._encode_prompt(self._additions.refiner.model, is_told=False)
            for index in range(self._run.first_image, self._params.images):
                self._make(index, given)

    def _encode_prompt(
        self, model: ReadyModel, known: Mapping[str, Any] = MappingProxyType({}), *, is_told: bool = True
    ) -> Mapping[str, Any]:
        """The prompts as the pipelines of `model` take them.

        Args:
            known: the parameters of the pipeline, for one that has to encode prompts itself.
            is_told: warn of what has no effect.
        """
        params, warn = self._params, self._warn if is_told else say_nothing
        is_guided = self._is_guided(model)
        encoded = model.encoder.encode(
            self._additions.prompt,
            # Some families take no negative prompt for another thing than an empty one.
            params.negative_prompt or None,
            guidance=is_guided,
            clip_skip=params.clip_skip,
            embeddings=self._studio.embeddings(),
            state=self._additions.text_state,
            warn=self._context.warn if is_told else say_nothing,
        )
        if encoded is None:
            return plain_prompts(
                self._additions.prompt,
                params.negative_prompt,
                model=model.loaded,
                parameters=known,
                guidance_scale=self._guidance,
                clip_skip=params.clip_skip,
                warn=warn,
            )
        if params.negative_prompt and not is_guided:
            why = "with a guidance scale of 1 or less" if self._guidance <= 1 else "the model was distilled without one"
            warn("negative_prompt_unused", f"negative_prompt has no effect: {why}")
        return encoded.as_kwargs()

    def _is_guided(self, model: ReadyModel) -> bool:
        """Whether the denoiser of `model` is called for a negative prompt as well."""
        return self._guidance > 1 and not embeds_guidance(model.loaded)

    def _guides(self) -> Mapping[str, Any]:
        """The pictures that ControlNets and IP-Adapters go by, as the pipeline takes them."""
        controls, prompts = self._additions.controls, self._additions.image_prompts
        given: dict[str, Any] = {}
        if controls is not None:
            pictures = self._prepared(
                lambda: [to_tensor(self._control(number)) for number in range(len(controls.refs))]
            )
            given |= controls.arguments(self._kind, pictures)
        if prompts is not None:
            pictures = self._prepared(lambda: prompts.prepare(self._read("image_prompts")))
            given |= prompts.arguments(pictures, is_guided=self._is_guided(self._model))
        return given

    def _prepared(self, prepare: Callable[[], list[Tensor]]) -> list[Tensor]:
        return cast("list[Tensor]", await_call(Call(prepare, Where.POOL, "read")))

    def _control(self, number: int) -> Floats:
        """What the ControlNet of that number goes by. On the side pool."""
        ref, own = self._params.controls[number], self._scene.subject
        if ref.image is None:
            assert own is not None, "parameters of a task without a picture name one for each control"
            return control_picture(ref.preprocess, own)
        given = self._scene.guide(self._picture(f"controls[{number}].image"))
        return control_picture(ref.preprocess, Subject(given))

    def _read(self, parameter: str) -> list[Floats]:
        """The pictures in the items of a parameter. On the side pool."""
        count = len(getattr(self._params, parameter))
        return [self._picture(f"{parameter}[{number}].image") for number in range(count)]

    def _picture(self, name: str) -> Floats:
        """One of the pictures of the request, whole. On the side pool."""
        return on_white(decode(self._run.inputs[name], warn=self._context.warn))

    def _make(self, index: int, fixed: Mapping[str, Any]) -> None:
        seed = (seed_of(self._run) + index) % _SEEDS
        generator = torch.Generator().manual_seed(seed)
        scheduler = self._scheduler(self._model)
        pipeline = self._pipeline(scheduler)
        given = {**fixed, "generator": generator}
        if "strength" in given:  # the least there is: one step
            given["strength"] = max(given["strength"], 1.0001 / self._steps)
        refiner = self._refiner_of(pipeline, given)
        if refiner is None:
            made = self._run_through(pipeline, index, given)
        else:
            given |= {"denoising_end": refiner.start, "output_type": "latent"}
            latents = self._run_through(pipeline, index, given, left=partial(refiner.steps_left, scheduler))
            made = self._refine(refiner, latents, index, generator, done=pipeline.num_timesteps)
        generated = from_tensor(made[:1])
        await_steps(self._context.output(index, partial(self._encode, generated), seed=seed, data=self._data()))

    def _refiner_of(self, pipeline: Any, given: Mapping[str, Any]) -> Refiner | None:
        """The refiner, if there is something for it to take over."""
        refiner = self._additions.refiner
        if refiner is None:
            return None
        if "strength" in given and refiner.begins_too_late(given["strength"], self._steps):
            unused = f"with this strength the picture begins after refiner_start, {refiner.start:g}"
        elif "denoising_end" not in _parameters(pipeline):
            unused = "changing a picture along a control cannot be handed over"
        else:
            return refiner
        self._warn("refiner_unused", f"refiner: {unused}; it has no part in the picture")
        return None

    def _refine(
        self, refiner: Refiner, latents: Tensor, index: int, generator: torch.Generator, *, done: int
    ) -> Tensor:
        pipeline = refiner.pipeline(self._scheduler(refiner.model), (self._additions.vae or self._model.loaded).vae)
        given = {**self._refiner_prompt, **refiner.arguments(latents), "generator": generator}
        return self._run_through(pipeline, index, given, done=done)

    def _run_through(
        self,
        pipeline: Any,
        index: int,
        given: Mapping[str, Any],
        *,
        done: int = 0,
        left: Callable[[], int] = lambda: 0,
    ) -> Tensor:
        """What a pipeline makes: pictures (1, 3, H, W), or latents.

        Args:
            done: steps of the image before this.
            left: steps of it after this; asked after the first.
        """
        scheduler = pipeline.scheduler
        watch = (self._additions.vae or self._model).previewer.watch(scheduler)
        given = {
            "num_inference_steps": self._steps,
            "guidance_scale": self._guidance,
            "eta": eta_for(scheduler, self._params.eta, warn=self._warn),
            "output_type": "pt",
            "callback_on_step_end": partial(self._on_step, index, watch, done, left),
            # Of pipelines that have not learnt the other.
            "callback": partial(self._on_old_step, index, watch, scheduler),
            **given,
        }
        known = _parameters(pipeline)
        made: Tensor = pipeline(**{name: value for name, value in given.items() if name in known}).images
        return made

    def _pipeline(self, scheduler: Scheduler) -> Any:
        loaded, vae, controls = self._model.loaded, self._additions.vae, self._additions.controls
        replaced: dict[str, Any] = {} if vae is None else {"vae": vae.vae}
        if controls is None:
            return loaded.pipeline(self._kind, scheduler, **replaced)
        of_class = controls.pipeline_class(self._kind, loaded)
        return loaded.pipeline(self._kind, scheduler, of_class=of_class, **replaced, **controls.components())

    def _scheduler(self, model: ReadyModel) -> Scheduler:
        """For `model`; the sampler is the first model's also where a refiner goes on."""
        loaded = model.loaded
        return make_scheduler(
            loaded.scheduler_config,
            self._params.scheduler or self._model.loaded.defaults.scheduler,
            self._params.noise_schedule,
            warn=self._warn,
            is_sdxl=loaded.family in _XL,
        )

    def _on_step(
        self,
        index: int,
        watch: Watch,
        done: int,
        left: Callable[[], int],
        pipeline: Any,
        step: int,
        _timestep: Any,
        tensors: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """After each step, within the pipeline."""
        self._tell_step(index, watch, done + step + 1, done + pipeline.num_timesteps + left(), tensors["latents"])
        return {}

    def _on_old_step(
        self, index: int, watch: Watch, scheduler: Scheduler, step: int, _timestep: Any, latents: Tensor
    ) -> None:
        """After each step, within a pipeline of the older kind."""
        self._tell_step(index, watch, step + 1, total_steps(scheduler), latents)

    def _tell_step(self, index: int, watch: Watch, number: int, steps: int, latents: Tensor) -> None:
        steps = max(number, steps)
        progress = self._progress(index, number / steps * _DENOISED)
        self._context.step(number, steps, image=index, progress=progress, stage="denoise")
        if self._context.wants_previews:
            shown = watch.picture(latents, self._scene.size, self._params.preview_px)
            self._context.preview(number, shown, image=index, max_px=self._params.preview_px)

    def _progress(self, index: int, share: float) -> float:
        """Of the whole job, `share` of image `index` done."""
        return (index + share) / self._params.images

    def _encode(self, generated: Floats) -> EncodedImage:
        return encode(self._scene.finish(generated), self._params.format, self._params.quality)

    def _data(self) -> Mapping[str, Any]:
        """What the picture was made with, where the request left it open."""
        return {
            "model": self._model.found.name,
            "steps": self._steps,
            "guidance_scale": self._guidance,
            "generated_width": self._scene.size.width,
            "generated_height": self._scene.size.height,
        }

    def _warn(self, code: str, message: str) -> None:
        """Once per job, however many images there are."""
        if code not in self._told:
            self._told.add(code)
            self._context.warn(code, message)


def _parameters(pipeline: Any) -> Mapping[str, Any]:
    """What a pipeline's call takes, by name."""
    return inspect.signature(pipeline.__call__).parameters
