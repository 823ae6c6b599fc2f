"""The JSON document in which Fooocus notes what a picture was made with.

Source: the files of Fooocus 2.5, as observed. Tuples and lists of styles stand there as Python writes them, seeds as
text; models are stems of file names.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from protocol.recipes.literals import number, number_text, size, text, texts, tuple_text, whole
from protocol.recipes.recipe import PLAIN_SIZES, Recipe, UsedFreeU, UsedLora, UsedSizeConditioning
from protocol.recipes.words import mode_name, mode_of, sampler_of, schedule_name, schedule_of

_NONE: Final = "None"
_OWN_VAE: Final = "Default (model)"
_LORA: Final = "lora_combined_"


def write_fooocus(recipe: Recipe) -> str:
    """The document, its keys sorted. ASCII only, so that it is the same in every kind of file."""
    loras = recipe.loras
    sizes = recipe.size_conditioning or PLAIN_SIZES
    document: dict[str, Any] = {
        "adm_guidance": tuple_text((sizes.positive, sizes.negative, sizes.end)),
        "base_model": recipe.model or _NONE,
        "base_model_hash": recipe.model_hash or "",
        "full_negative_prompt": list(recipe.full_negative_prompt),
        "full_prompt": list(recipe.full_prompt),
        "guidance_scale": recipe.guidance_scale,
        "loras": [[lora.name, lora.weight, lora.hash or ""] for lora in loras],
        "metadata_scheme": "fooocus",
        "negative_prompt": recipe.negative_prompt or "",
        "prompt": recipe.prompt or "",
        "prompt_expansion": recipe.prompt_expansion or "",
        "refiner_model": recipe.refiner or _NONE,
        "refiner_switch": 1.0 if recipe.refiner_start is None else recipe.refiner_start,
        "resolution": f"({recipe.width or 0}, {recipe.height or 0})",
        "sampler": recipe.scheduler,
        "scheduler": schedule_name(recipe.noise_schedule or "normal"),
        "seed": "" if recipe.seed is None else str(recipe.seed),
        "sharpness": recipe.sharpness or 0.0,
        "steps": recipe.steps,
        "styles": str(list(recipe.styles)),
        "vae": recipe.vae or _OWN_VAE,
        "version": recipe.made_by or "",
    }
    for place, lora in enumerate(loras, 1):
        document[f"{_LORA}{place}"] = f"{lora.name} : {number_text(lora.weight)}"
    document |= dict(_occasional(recipe))
    return json.dumps(dict(sorted(document.items())))


def read_fooocus(written: str) -> Recipe | None:
    """What a document says; None if it is none."""
    try:
        told = json.loads(written)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or not {"metadata_scheme", "base_model", "prompt", "full_prompt"} & told.keys():
        return None
    sampler = text(told.get("sampler"))
    schedule = text(told.get("scheduler"))
    mode = text(told.get("performance"))
    vae = text(told.get("vae"))
    extent = size(told.get("resolution")) or (None, None)
    refiner = text(told.get("refiner_model"))
    return Recipe(
        prompt=_string(told.get("prompt")),
        negative_prompt=_string(told.get("negative_prompt")),
        full_prompt=texts(told.get("full_prompt")),
        full_negative_prompt=texts(told.get("full_negative_prompt")),
        prompt_expansion=text(told.get("prompt_expansion")),
        styles=texts(told.get("styles")),
        seed=whole(told.get("seed")),
        width=extent[0],
        height=extent[1],
        steps=whole(told.get("steps")),
        guidance_scale=number(told.get("guidance_scale")),
        scheduler=None if sampler is None else sampler_of(sampler)[0],
        noise_schedule=None if schedule is None else schedule_of(schedule),
        performance=None if mode is None else mode_of(mode),
        sharpness=number(told.get("sharpness")),
        adaptive_guidance=number(told.get("adaptive_cfg")),
        size_conditioning=UsedSizeConditioning.read(told.get("adm_guidance")),
        freeu=UsedFreeU.read(told.get("freeu")),
        clip_layer=whole(told.get("clip_skip")),
        model=text(told.get("base_model")),
        model_hash=text(told.get("base_model_hash")),
        vae=None if vae == _OWN_VAE else vae,
        loras=tuple(_loras(told)),
        refiner=refiner,
        refiner_hash=text(told.get("refiner_model_hash")),
        refiner_start=None if refiner is None else number(told.get("refiner_switch")),
        refiner_swap=text(told.get("refiner_swap_method")),
        upscaler=text(told.get("upscaler")),
        upscale_factor=number(told.get("upscale_factor")),
        made_by=text(told.get("version")),
    )


def _occasional(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    """What stands there only where it says something."""
    if recipe.performance is not None:
        yield "performance", mode_name(recipe.performance)
    if recipe.adaptive_guidance is not None:
        yield "adaptive_cfg", recipe.adaptive_guidance
    if recipe.clip_layer is not None and recipe.clip_layer > 1:
        yield "clip_skip", recipe.clip_layer
    if recipe.freeu is not None:
        yield "freeu", tuple_text(recipe.freeu.model_dump().values())
    if recipe.refiner is not None:
        yield "refiner_model_hash", recipe.refiner_hash or ""
        if recipe.refiner_swap is not None:
            yield "refiner_swap_method", recipe.refiner_swap
    if recipe.upscaler is not None:
        yield "upscaler", recipe.upscaler
        yield "upscale_factor", recipe.upscale_factor


def _loras(told: Mapping[str, Any]) -> Iterator[UsedLora]:
    listed = told.get("loras")
    if isinstance(listed, list):
        for each in listed:
            match each:
                case [str(name), int() | float() as counts, *more]:
                    yield UsedLora(name=name, weight=counts, hash=text(more[0]) if more else None)
        return
    for key in sorted(key for key in told if key.startswith(_LORA)):
        name, _, weight = str(told[key]).rpartition(" : ")
        counted = number(weight)
        if name and counted is not None:
            yield UsedLora(name=name, weight=counted)


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None
