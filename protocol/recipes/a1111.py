"""The text in which the Stable Diffusion web interfaces note what a picture was made with, with what Fooocus adds.

    the prompt, in any number of lines
    Negative prompt: likewise
    Steps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 7, Size: 1152x896, CFG scale: 4, ...

A value with a comma, a colon or a line break is written as a JSON string.

Source: the files of A1111's web interface and of Fooocus 2.5, as observed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from protocol.recipes.literals import number, number_text, size, text, texts, tuple_text, whole
from protocol.recipes.recipe import PLAIN_SIZES, Recipe, UsedFreeU, UsedLora, UsedSizeConditioning
from protocol.recipes.words import label_of, mode_name, mode_of, sampler_of, schedule_name, schedule_of

_NEGATIVE: Final = "Negative prompt:"
_STEPS: Final = "Steps: "
_OWN_VAE: Final = "Default (model)"
_ENTRY: Final = re.compile(r'([^:,"\n]{1,60}):\s*("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)')
_QUOTED: Final = re.compile(r"[,:\n\"]")


def write_a1111(recipe: Recipe) -> str:
    """The text. The prompts in it are those the picture was made from; those that were asked for stand at the end."""
    lines = [", ".join(recipe.full_prompt)]
    negative = ", ".join(recipe.full_negative_prompt)
    if negative:
        lines.append(f"{_NEGATIVE} {negative}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in _settings(recipe)))
    return "\n".join(lines)


def read_a1111(written: str) -> Recipe | None:
    """What a text says; None if it is no such text. One of prompts alone, without settings, is one."""
    head, told = _parted(written)
    prompt, marker, negative = head.partition(_NEGATIVE)
    prompt, negative = prompt.strip(), negative.strip()
    if not (told or marker):
        return None
    sampler, schedule = (None, None) if "Sampler" not in told else sampler_of(told["Sampler"])
    named = text(told.get("Scheduler", told.get("Schedule type")))
    extent = size(told.get("Size")) or (None, None)
    mode, vae, refiner = text(told.get("Performance")), text(told.get("VAE")), text(told.get("Refiner"))
    return Recipe(
        prompt=told.get("Raw prompt", prompt),
        negative_prompt=told.get("Raw negative prompt", negative),
        full_prompt=(prompt,) if prompt else (),
        full_negative_prompt=(negative,) if negative else (),
        styles=texts(told.get("Styles")),
        seed=whole(told.get("Seed")),
        width=extent[0],
        height=extent[1],
        steps=whole(told.get("Steps")),
        guidance_scale=number(told.get("CFG scale")),
        scheduler=sampler,
        noise_schedule=schedule if named is None else schedule_of(named),
        performance=None if mode is None else mode_of(mode),
        sharpness=number(told.get("Sharpness")),
        adaptive_guidance=number(told.get("Adaptive CFG")),
        size_conditioning=UsedSizeConditioning.read(told.get("ADM Guidance")),
        freeu=UsedFreeU.read(told.get("FreeU")),
        clip_layer=whole(told.get("Clip skip")),
        model=text(told.get("Model")),
        model_hash=text(told.get("Model hash")),
        vae=None if vae == _OWN_VAE else vae,
        loras=tuple(_loras(told)),
        refiner=refiner,
        refiner_hash=text(told.get("Refiner hash")),
        refiner_start=number(told.get("Refiner switch", told.get("Refiner switch at"))),
        refiner_swap=text(told.get("Refiner swap method")),
        upscaler=text(told.get("Postprocess upscaler")),
        upscale_factor=number(told.get("Postprocess upscale by")),
        made_by=text(told.get("Version")),
    )


def _settings(recipe: Recipe) -> Iterator[tuple[str, str]]:
    sizes = recipe.size_conditioning or PLAIN_SIZES
    yield "Steps", str(recipe.steps or 0)
    yield "Sampler", label_of(recipe.scheduler or "", recipe.noise_schedule)
    yield "Seed", "" if recipe.seed is None else str(recipe.seed)
    yield "Size", f"{recipe.width or 0}x{recipe.height or 0}"
    yield "CFG scale", number_text(recipe.guidance_scale or 0)
    yield "Sharpness", number_text(recipe.sharpness or 0)
    yield "ADM Guidance", tuple_text((sizes.positive, sizes.negative, sizes.end))
    yield "Model", recipe.model or ""
    yield "Model hash", recipe.model_hash or ""
    if recipe.performance is not None:
        yield "Performance", mode_name(recipe.performance)
    yield "Scheduler", schedule_name(recipe.noise_schedule or "normal")
    yield "VAE", recipe.vae or _OWN_VAE
    yield "Raw prompt", recipe.prompt or ""
    yield "Raw negative prompt", recipe.negative_prompt or ""
    if recipe.styles:
        yield "Styles", str(list(recipe.styles))
    if recipe.adaptive_guidance is not None:
        yield "Adaptive CFG", number_text(recipe.adaptive_guidance)
    if recipe.clip_layer is not None and recipe.clip_layer > 1:
        yield "Clip skip", str(recipe.clip_layer)
    if recipe.freeu is not None:
        yield "FreeU", tuple_text(recipe.freeu.model_dump().values())
    if recipe.refiner is not None:
        yield "Refiner", recipe.refiner
        yield "Refiner hash", recipe.refiner_hash or ""
        yield "Refiner switch", number_text(recipe.refiner_start or 0)
        if recipe.refiner_swap is not None:
            yield "Refiner swap method", recipe.refiner_swap
    if recipe.loras:
        yield "Lora hashes", ", ".join(f"{lora.name}: {lora.hash or ''}" for lora in recipe.loras)
        yield "Lora weights", ", ".join(f"{lora.name}: {number_text(lora.weight)}" for lora in recipe.loras)
    if recipe.upscaler is not None:
        yield "Postprocess upscale by", number_text(recipe.upscale_factor or 0)
        yield "Postprocess upscaler", recipe.upscaler
    yield "Version", recipe.made_by or ""


def _parted(written: str) -> tuple[str, Mapping[str, str]]:
    """The prompts, and the settings in the last line if it has any."""
    head, _, last = written.strip().rpartition("\n")
    if not last.startswith(_STEPS):
        return written, {}
    return head, {found[1].strip(): _unquoted(found[2].strip()) for found in _ENTRY.finditer(last)}


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if _QUOTED.search(value) or value != value.strip() else value


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        read = json.loads(value)
    except ValueError:
        return value
    return read if isinstance(read, str) else value


def _loras(told: Mapping[str, str]) -> Iterator[UsedLora]:
    hashes, weights = (dict(_pairs(told.get(key, ""))) for key in ("Lora hashes", "Lora weights"))
    for name in {**hashes, **weights}:
        weight = number(weights.get(name))
        yield UsedLora(name=name, weight=1.0 if weight is None else weight, hash=text(hashes.get(name)))


def _pairs(listed: str) -> Iterator[tuple[str, str]]:
    for each in listed.split(", "):
        name, colon, value = each.rpartition(":")
        if colon:
            yield name.strip(), value.strip()
