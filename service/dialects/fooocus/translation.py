"""From what a client of Fooocus wants to one job of ours: a task, its parameters, and notes on what cannot act.

Which task it is:

    no picture                        text_to_image
    Vary                              image_to_image, strength 0.5 or 0.85
    Upscale (1.5x, 2x, Custom)        image_to_image, enlarged first
    Upscale (Fast 2x)                 upscale
    a mask, or sides to continue      inpaint
    a picture and nothing of these    text_to_image, as in Fooocus
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from protocol.events import JobWarning
from protocol.models import ModelInfo, ModelKind
from protocol.prompting import MAX_STYLES
from protocol.requests import TASKS, TaskName
from service.dialects.fooocus.choices import (
    DEFAULT_INPAINT_ENGINE,
    DEFAULT_SWAP,
    DEFAULT_VAE,
    INPAINT_ENGINES,
    MOST_LORAS,
    NONE,
    SWAP_METHODS,
    Performance,
    Side,
    UovMethod,
)
from service.dialects.fooocus.fields import Lora
from service.dialects.fooocus.guides import guide_params
from service.dialects.fooocus.samplers import sampling
from service.dialects.fooocus.shelf import Known
from service.dialects.fooocus.sizes import Size, continued_px, size_in
from service.dialects.fooocus.wishes import FORMATS, Wish

_QUALITY: Final = 95
_SEEDS: Final = 2**63
_VARY: Final[Mapping[UovMethod, float]] = {UovMethod.VARY_SUBTLE: 0.5, UovMethod.VARY_STRONG: 0.85}
_FACTORS: Final[Mapping[UovMethod, float]] = {UovMethod.UPSCALE_1_5: 1.5, UovMethod.UPSCALE_2: 2.0}
_FAST_FACTOR: Final = 2.0
_CUSTOM_FACTOR: Final = 2.0
_UPSCALE_STRENGTH: Final = 0.382
_SOFT_EDGE_PX: Final = 32
_FILLED_FROM: Final = 0.99
"""The hole is filled with what is around it where the strength is above this."""
_PREVIEW_SHARE: Final = 4
_LEAST_PREVIEW_PX: Final = 32
_MOST_PREVIEW_PX: Final = 1024
_USUAL_CLIP_SKIP: Final = 2
_PERFORMANCES: Final[Mapping[Performance, str]] = {
    Performance.QUALITY: "quality",
    Performance.SPEED: "speed",
    Performance.EXTREME_SPEED: "extreme_speed",
    Performance.LIGHTNING: "lightning",
    Performance.HYPER_SD: "hyper_sd",
}
_SIDES: Final[Mapping[Side, str]] = {
    Side.LEFT: "left",
    Side.RIGHT: "right",
    Side.TOP: "top",
    Side.BOTTOM: "bottom",
}
_SCHEMES: Final[Mapping[str, str]] = {"fooocus": "fooocus", "a1111": "a1111", "a111": "a1111"}
"""The last is what the documents call it; it ended the original's worker."""
_DEBUGGING: Final = (
    "debugging_cn_preprocessor",
    "debugging_inpaint_preprocessor",
    "debugging_dino",
    "debugging_enhance_masks_checkbox",
)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be submitted.

    Attributes:
        params: of the task, pictures as bytes.
        images: how many pictures there will be.
        notes: the job's first warnings.
    """

    task: TaskName
    params: Mapping[str, Any]
    images: int
    notes: tuple[JobWarning, ...]


def translate(wish: Wish, known: Known) -> Order:
    """The job that a request stands for.

    Args:
        known: the models of the server.
    """
    return _Translation(wish, known).order()


class _Translation:
    def __init__(self, wish: Wish, known: Known) -> None:
        self._wish = wish
        self._common = wish.common
        self._advanced = wish.advanced
        self._known = known
        self._notes: list[JobWarning] = []

    def order(self) -> Order:
        wish = self._wish
        for field in _DEBUGGING:
            if getattr(self._advanced, field):
                self._note("debugging_unused", f"{field}: pictures of what is between are not made; left out")
        if wish.picture is None:
            return self._generated(TaskName.TEXT_TO_IMAGE, self._size())
        if wish.method is UovMethod.UPSCALE_FAST_2:
            return self._ordered(
                TaskName.UPSCALE, {**self._file(), "image": wish.picture, "factor": _FAST_FACTOR}, images=1
            )
        if wish.method is not UovMethod.DISABLED:
            return self._generated(TaskName.IMAGE_TO_IMAGE, {"image": wish.picture, **self._replayed()})
        if wish.mask is None and not wish.sides:
            self._note("nothing_to_repaint", "input_image: there is no mask and no side to continue; it has no effect")
            return self._generated(TaskName.TEXT_TO_IMAGE, self._size())
        return self._generated(TaskName.INPAINT, {"image": wish.picture, **self._hole()})

    def _generated(self, task: TaskName, own: Mapping[str, Any]) -> Order:
        """Of a generating task, with what is its own."""
        params = {**self._prompts(), **self._models(), **self._sampled(), **self._guided(), **self._file(), **own}
        return self._ordered(task, params, images=self._common.image_number)

    def _ordered(self, task: TaskName, params: Mapping[str, Any], *, images: int) -> Order:
        taken = TASKS[task].params.model_fields
        for name in params.keys() - taken.keys():
            self._note("parameter_unused", f"{name}: has no effect on this server yet")
        chosen = {name: value for name, value in params.items() if name in taken}
        return Order(task, chosen, images, tuple(self._notes))

    # ---- what all generating tasks take ----------------------------------------------------------------------

    def _prompts(self) -> dict[str, Any]:
        common, additional = self._common, self._wish.additional_prompt.strip()
        repaints = self._wish.picture is not None and self._wish.method is UovMethod.DISABLED
        return {
            "prompt": f"{additional}\n{common.prompt}" if additional and repaints else common.prompt,
            "negative_prompt": common.negative_prompt,
            "prompt_syntax": "fooocus",
            "styles": self._styles(),
            "wildcards_in_order": common.read_wildcards_in_order,
        }

    def _styles(self) -> list[str]:
        """Those there are; the others are passed over, as in Fooocus, but not in silence."""
        chosen = []
        for name in dict.fromkeys(self._common.style_selections):
            if self._known.has_style(name):
                chosen.append(name)
            else:
                self._note("unknown_name", f"style_selections: there is no style {name!r:.80}; left out")
        if len(chosen) > MAX_STYLES:
            self._note("parameter_unused", f"style_selections: {MAX_STYLES} of {len(chosen)} styles were taken")
        return chosen[:MAX_STYLES]

    def _models(self) -> dict[str, Any]:
        common, advanced = self._common, self._advanced
        checkpoint = self._checkpoint()
        params: dict[str, Any] = {"model": checkpoint.name if checkpoint is not None else None}
        params["loras"] = self._loras(checkpoint or self._known.default)
        refiner = self._named("refiner_model_name", ModelKind.CHECKPOINT, common.refiner_model_name)
        switch = advanced.overwrite_switch if advanced.overwrite_switch > 0 else common.refiner_switch
        if refiner is not None and switch < 1:
            params |= {"refiner": refiner.name, "refiner_start": min(0.99, max(0.01, float(switch)))}
            params |= {"refiner_start_by": "steps", "refiner_swap": self._swap_method()}
        if advanced.vae_name != DEFAULT_VAE:
            vae = self._named("vae_name", ModelKind.VAE, advanced.vae_name)
            params["vae"] = vae.name if vae is not None else None
        return params

    def _checkpoint(self) -> ModelInfo | None:
        """The one that is asked for; None for the server's default."""
        name = self._common.base_model_name
        found = self._known.find(ModelKind.CHECKPOINT, name)
        if found is None and "base_model_name" in self._common.model_fields_set and name != NONE:
            self._note("model_replaced", f"base_model_name: there is no {name!r:.120}; the server's default is used")
        return found

    def _loras(self, checkpoint: ModelInfo | None) -> list[Mapping[str, Any]]:
        is_chosen = "loras" in self._common.model_fields_set
        used: list[Mapping[str, Any]] = []
        for lora in self._common.loras:
            if not lora.enabled or lora.model_name == NONE:
                continue
            found = self._lora(lora, checkpoint) if is_chosen else self._usual_lora(lora, checkpoint)
            if found is not None and len(used) < MOST_LORAS:
                used.append({"name": found.name, "weight": float(lora.weight)})
        return used

    def _lora(self, lora: Lora, checkpoint: ModelInfo | None) -> ModelInfo | None:
        found = self._named("loras", ModelKind.LORA, lora.model_name)
        if found is not None and checkpoint is not None and not _may_fit(found, checkpoint):
            self._note("lora_unused", f"loras: {found.name!r:.120} is not for {checkpoint.name!r:.120}; left out")
            return None
        return found

    def _usual_lora(self, lora: Lora, checkpoint: ModelInfo | None) -> ModelInfo | None:
        """One nobody asked for: where it is there and fits."""
        found = self._known.find(ModelKind.LORA, lora.model_name)
        fits = found is not None and checkpoint is not None and _may_fit(found, checkpoint)
        return found if fits else None

    def _named(self, field: str, kind: ModelKind, name: str) -> ModelInfo | None:
        if name == NONE or not name.strip():
            return None
        found = self._known.find(kind, name)
        if found is None:
            self._note("model_replaced", f"{field}: there is no {kind} {name!r:.120}; left out")
        return found

    def _swap_method(self) -> str:
        method = self._advanced.refiner_swap_method
        if method in SWAP_METHODS:
            return method
        self._note("unknown_name", f"refiner_swap_method: there is no {method!r:.60}; {DEFAULT_SWAP} was taken instead")
        return DEFAULT_SWAP

    def _sampled(self) -> dict[str, Any]:
        common, advanced = self._common, self._advanced
        chosen = sampling(advanced.sampler_name, advanced.scheduler_name)
        self._notes += chosen.notes
        params: dict[str, Any] = {
            "performance": _PERFORMANCES[common.performance_selection],
            "images": common.image_number,
            "seed": common.image_seed if 0 <= common.image_seed < _SEEDS else None,
            "vary_seed": not advanced.disable_seed_increment,
            "guidance_scale": float(common.guidance_scale),
            "sharpness": float(common.sharpness),
            "adaptive_guidance": float(advanced.adaptive_cfg),
            "size_conditioning": {
                "positive": float(advanced.adm_scaler_positive),
                "negative": float(advanced.adm_scaler_negative),
                "end": float(advanced.adm_scaler_end),
            },
            "scheduler": chosen.scheduler.value,
            "noise_schedule": chosen.noise_schedule.value,
            "clip_skip": advanced.clip_skip - _USUAL_CLIP_SKIP,
            "preview_px": self._preview_px(),
        }
        if advanced.overwrite_step > 0:
            params["steps"] = advanced.overwrite_step
        if advanced.freeu_enabled:
            params["freeu"] = {name: float(getattr(advanced, f"freeu_{name}")) for name in ("b1", "b2", "s1", "s2")}
        return params

    def _preview_px(self) -> int:
        """Of the longer side; that of a picture whose size is not known yet as of a usual one."""
        longest = max(self._asked_size()) // _PREVIEW_SHARE
        return min(_MOST_PREVIEW_PX, max(_LEAST_PREVIEW_PX, longest))

    def _guided(self) -> dict[str, Any]:
        checkpoint = self._known.find(ModelKind.CHECKPOINT, self._common.base_model_name) or self._known.default
        made = guide_params(
            self._wish.guides,
            self._known,
            family=checkpoint.family if checkpoint is not None else None,
            skips_preprocessing=self._advanced.skipping_cn_preprocessor,
        )
        self._notes += made.notes
        params: dict[str, Any] = {}
        if made.image_prompts:
            params["image_prompts"] = made.image_prompts
        if made.controls:
            params |= {"controls": made.controls, "control_softness": float(self._advanced.controlnet_softness)}
        return params

    def _file(self) -> dict[str, Any]:
        wish = self._wish
        params: dict[str, Any] = {"format": FORMATS[wish.extension].value, "quality": _QUALITY}
        if self._advanced.black_out_nsfw:
            params["safety_check"] = True
        if wish.saves_metadata:
            scheme = _SCHEMES.get(wish.metadata_scheme)
            if scheme is None:
                name = wish.metadata_scheme
                self._note("unknown_name", f"meta_scheme: there is no {name!r:.60}; fooocus was taken instead")
            params["metadata"] = scheme or "fooocus"
        return params

    # ---- what some tasks take --------------------------------------------------------------------------------

    def _asked_size(self) -> Size:
        asked = size_in(self._common.aspect_ratios_selection)
        width, height = self._advanced.overwrite_width, self._advanced.overwrite_height
        return Size(width if width > 0 else asked.width, height if height > 0 else asked.height)

    def _size(self) -> dict[str, Any]:
        size = self._asked_size()
        return {"width": size.width, "height": size.height}

    def _replayed(self) -> dict[str, Any]:
        wish, advanced = self._wish, self._advanced
        if wish.method in _VARY:
            strength = advanced.overwrite_vary_strength
            strength = strength if strength > 0 else _VARY[wish.method]
            return {"strength": float(strength), "size_rule": "model", "full_steps": True}
        strength = advanced.overwrite_upscale_strength
        factor = _FACTORS.get(wish.method, wish.factor or _CUSTOM_FACTOR)
        return {
            "strength": float(strength) if strength > 0 else _UPSCALE_STRENGTH,
            "upscale": float(factor),
            "full_steps": True,
        }

    def _hole(self) -> dict[str, Any]:
        wish, advanced = self._wish, self._advanced
        self._check_inpaint_engine()
        strength = 1.0 if wish.sides else float(advanced.inpaint_strength)
        params: dict[str, Any] = {
            "strength": strength,
            "context": 1.0 if wish.sides else float(advanced.inpaint_respective_field),
            "grow_px": advanced.inpaint_erode_or_dilate,
            "grow_shape": "box",
            "invert_mask": advanced.invert_mask_checkbox,
            "fit_mask": True,
            "fill": "blur" if strength > _FILLED_FROM else "original",
            "start": "noise" if advanced.inpaint_disable_initial_latent else "picture",
            "full_steps": True,
            "mask_blur_px": _SOFT_EDGE_PX,
            "soft_edge": "outside",
            "upscale_model": "auto",
        }
        if wish.mask is not None:
            params["mask"] = wish.mask
        if wish.sides and wish.size is not None:
            for side, asked_px in wish.sides.items():
                along = wish.size.width if side in {Side.LEFT, Side.RIGHT} else wish.size.height
                params[_SIDES[side]] = continued_px(along, asked_px)
        return params

    def _check_inpaint_engine(self) -> None:
        engine = self._advanced.inpaint_engine
        if engine not in INPAINT_ENGINES:
            message = f"inpaint_engine: there is no {engine!r:.60}; {DEFAULT_INPAINT_ENGINE} was taken instead"
            self._note("unknown_name", message)

    def _note(self, code: str, message: str) -> None:
        note = JobWarning(code=code, message=message)
        if note not in self._notes:
            self._notes.append(note)


def _may_fit(lora: ModelInfo, checkpoint: ModelInfo) -> bool:
    """Whether nothing is known against it."""
    families = {lora.family, checkpoint.family} - {None, "unknown", "other"}
    bases = {family.removesuffix("_inpaint").removesuffix("_refiner") for family in families if family is not None}
    return len(bases) <= 1
