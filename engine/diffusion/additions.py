"""What a job adds to its model: parts that stand in for the model's own, and what is laid over them."""

from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from engine.diffusion.brushed_unet import brush_state
from engine.diffusion.brushes import Brush, check_brush, choose_brush
from engine.diffusion.chosen_vae import ReadyVae, choose_vae
from engine.diffusion.controls import Controls, check_controls, choose_controlnet
from engine.diffusion.freeu import can_freeu, freeu_state
from engine.diffusion.image_prompts import ImagePrompts, choose_encoder
from engine.diffusion.loras import WeighedLora
from engine.diffusion.prompt_loras import take_out_loras, with_tagged
from engine.diffusion.prompt_times import PromptTimes, is_timed
from engine.diffusion.refiner import Refiner, check_refiner, choose_swap
from engine.diffusion.scope import NO_ADAPTERS, AdapterState, all_of, lift_off
from engine.diffusion.studio import ReadyModel, Studio
from engine.interface import Call, EngineError, Where
from engine.library.records import FoundModel, ModelKind
from engine.steps import await_call, await_steps
from protocol.brushnet import BrushNet
from protocol.errors import ErrorCode
from protocol.generation import MAX_LORA_WEIGHT, MAX_LORAS, GenerationParams, LoraRef
from protocol.guides import ControlRef, ImagePromptRef
from protocol.prompting import PromptSyntax

Warn = Callable[[str, str], None]

_TELLS: Final = "$.params.prompt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    """All of it, in memory.

    Attributes:
        vae: in the place of the model's own.
        controls: ControlNets beside the denoiser.
        brush: a BrushNet beside it.
        image_prompts: IP-Adapters over it.
        prompt_times: changes `adapters` from step to step, where these do not count all the time.
        refiner: goes on where the model ends.
        adapters: over the modules while the job's calls run.
        text_state: of these what the encoding of a prompt depends on.
    """

    vae: ReadyVae | None = None
    controls: Controls | None = None
    brush: Brush | None = None
    image_prompts: ImagePrompts | None = None
    prompt_times: PromptTimes | None = None
    refiner: Refiner | None = None
    adapters: AdapterState = NO_ADAPTERS
    text_state: Hashable = ()


def bring_additions(
    studio: Studio, params: GenerationParams, model: ReadyModel, held: ExitStack, warn: Warn
) -> Additions:
    """Have everything in memory that `params` adds to `model`. From inside a job's greenlet.

    Args:
        held: what is brought stays in memory until it is closed.
        warn: told of `lora_without_effect`, `lora_missing`, `lora_unused` and `freeu_unused`.

    Raises:
        EngineError: `model_missing`, `bad_model`; `invalid_params`: it does not go with the model.
    """
    refs = _all_loras(studio, params, warn)
    vae = None if params.vae is None else _vae(studio, params.vae, model, held)
    controls = _controls(studio, params.controls, model, held) if params.controls else None
    brush = _brush(studio, params, model, held)
    loras = [_lora(studio, ref, model, held, warn) for ref in refs]
    over_all = model.loras.state(loras)
    over_denoiser = _freeu(params, model, warn)
    prompts = _image_prompts(studio, params.image_prompts, model, held) if params.image_prompts else None
    over_layers = NO_ADAPTERS if brush is None else brush_state(model.loaded.denoiser)

    def with_weights(weights: Sequence[float]) -> AdapterState:
        over_attention = NO_ADAPTERS if prompts is None else model.ip_adapters.state(prompts.adapters, weights)
        return all_of(over_all, over_denoiser, over_attention, over_layers)

    adapters = with_weights([ref.weight for ref in params.image_prompts])
    held.callback(lift_off, adapters)
    times: PromptTimes | None = None
    if is_timed(params.image_prompts):
        times = PromptTimes(params.image_prompts, model.loaded.denoiser, with_weights)
        held.callback(times.lift_off)
    refiner = None if params.refiner is None else _refiner(studio, params.refiner, params, model, held, warn)
    return Additions(
        vae=vae,
        controls=controls,
        brush=brush,
        image_prompts=prompts,
        prompt_times=times,
        refiner=refiner,
        adapters=adapters,
        text_state=over_all.key,
    )


def _vae(studio: Studio, name: str, model: ReadyModel, held: ExitStack) -> ReadyVae:
    vae = await_steps(choose_vae(studio, _found(studio, name, ModelKind.VAE), model))
    held.enter_context(studio.in_use(vae))
    return vae


def _controls(studio: Studio, refs: Sequence[ControlRef], model: ReadyModel, held: ExitStack) -> Controls:
    check_controls(model.loaded)
    nets = []
    for ref in refs:
        net = await_steps(choose_controlnet(studio, _found(studio, ref.model, ModelKind.CONTROLNET), model))
        held.enter_context(studio.in_use(net))
        nets.append(net)
    return Controls(nets, refs)


def _brush(studio: Studio, params: GenerationParams, model: ReadyModel, held: ExitStack) -> Brush | None:
    ref: BrushNet | None = getattr(params, "brushnet", None)
    if ref is None:
        return None
    check_brush(model.loaded)
    ready = await_steps(choose_brush(studio, _found(studio, ref.model, ModelKind.BRUSHNET), model))
    held.enter_context(studio.in_use(ready))
    return Brush(ready, ref)


def _image_prompts(studio: Studio, refs: Sequence[ImagePromptRef], model: ReadyModel, held: ExitStack) -> ImagePrompts:
    found = [_found(studio, ref.model, ModelKind.IP_ADAPTER) for ref in refs]
    adapters = await_steps(model.ip_adapters.bring(found))
    held.enter_context(model.ip_adapters.in_use(adapters))
    encoders = []
    for each, sight in zip(found, adapters.sights, strict=True):
        encoder = await_steps(choose_encoder(studio, each, sight, model))
        held.enter_context(studio.in_use(encoder))
        encoders.append(encoder)
    return ImagePrompts(adapters, encoders, refs)


def _refiner(
    studio: Studio, name: str, params: GenerationParams, model: ReadyModel, held: ExitStack, warn: Warn
) -> Refiner | None:
    found = _found(studio, name, ModelKind.CHECKPOINT)
    # One with a patch for inpainting over it is another than the model in the file.
    if found.path == model.found.path and found.family is model.loaded.family:
        warn("refiner_unused", f"refiner: {found.name!r} is the model itself; it has no part in the picture")
        return None
    ready = await_steps(studio.ready(found))
    held.enter_context(studio.in_use(ready))
    check_refiner(model, ready)
    swap = choose_swap(params.refiner_swap, model, ready, warn)
    return Refiner(ready, params.refiner_start, params.refiner_start_by, swap)


def _lora(studio: Studio, ref: LoraRef, model: ReadyModel, held: ExitStack, warn: Warn) -> WeighedLora:
    lora = await_steps(model.loras.bring(_found(studio, ref.name, ModelKind.LORA), ref.weight))
    held.enter_context(model.loras.in_use([lora]))
    if not lora.has_effect:
        warn("lora_without_effect", f"loras: {ref.name!r} changes nothing in {model.found.name!r}")
    return lora


def _all_loras(studio: Studio, params: GenerationParams, warn: Warn) -> Sequence[LoraRef]:
    """Those of the parameter and those that the prompt names."""
    _, tagged = take_out_loras(params.prompt)
    if params.prompt_syntax is PromptSyntax.FOOOCUS:
        tagged = with_tagged(params.loras, tagged, partial(_lora_name, studio), warn)[len(params.loras) :]
    _check(params.loras, tagged)
    return [*params.loras, *tagged]


def _lora_name(studio: Studio, name: str) -> str | None:
    try:
        return _found(studio, name, ModelKind.LORA).name
    except EngineError as error:
        if error.code is ErrorCode.MODEL_MISSING:
            return None
        raise


def _freeu(params: GenerationParams, model: ReadyModel, warn: Warn) -> AdapterState:
    if params.freeu is None:
        return NO_ADAPTERS
    if not can_freeu(model.loaded):
        warn("freeu_unused", f"freeu: {model.found.name!r} has no UNet, which is all that FreeU works on")
        return NO_ADAPTERS
    return freeu_state(params.freeu, model.loaded)


def _check(asked: Sequence[LoraRef], tagged: Sequence[LoraRef]) -> None:
    """What the protocol holds the parameter to holds for the prompt as well."""
    for ref in tagged:
        if not -MAX_LORA_WEIGHT <= ref.weight <= MAX_LORA_WEIGHT:
            allowed = f"{-MAX_LORA_WEIGHT}..{MAX_LORA_WEIGHT}"
            message = (
                f"prompt: expected a weight of {allowed} for the lora {ref.name!r}, got {ref.weight:g} at {_TELLS}"
            )
            raise EngineError(ErrorCode.INVALID_PARAMS, message)
    if len(asked) + len(tagged) > MAX_LORAS:
        message = f"prompt: expected at most {MAX_LORAS} loras, got {len(asked) + len(tagged)} at {_TELLS}"
        raise EngineError(ErrorCode.INVALID_PARAMS, message)


def _found(studio: Studio, name: str, kind: ModelKind) -> FoundModel:
    # Beside the device: it may have to look through folders.
    return cast("FoundModel", await_call(Call(partial(studio.find, name, kind), Where.POOL, "read")))
