"""What all generating tasks take of a request: prompts, models, sampling, guides, and the files they make."""

from collections.abc import Mapping
from typing import Any, Final

from protocol.models import ModelInfo, ModelKind
from protocol.prompting import MAX_STYLES
from service.dialects.fooocus.choices import (
    DEFAULT_SWAP,
    DEFAULT_VAE,
    MOST_GUIDES,
    MOST_LORAS,
    NONE,
    OUR_PERFORMANCE,
    SWAP_METHODS,
    USUAL_CLIP_SKIP,
    UovMethod,
)
from service.dialects.fooocus.fields import Lora
from service.dialects.fooocus.guides import Thresholds, guide_params
from service.dialects.fooocus.notes import Notes
from service.dialects.fooocus.samplers import sampling
from service.dialects.fooocus.shelf import Known
from service.dialects.fooocus.sizes import size_in
from service.dialects.fooocus.switching import share_before
from service.dialects.fooocus.wishes import FORMATS, Wish
from service.dialects.picture_size import Size

_QUALITY: Final = 95
_SEEDS: Final = 2**63
_PREVIEW_SHARE: Final = 4
_LEAST_PREVIEW_PX: Final = 32
_MOST_PREVIEW_PX: Final = 1024
_SCHEMES: Final[Mapping[str, str]] = {"fooocus": "fooocus", "a1111": "a1111", "a111": "a1111"}
"""The last is what the documents call it; it ended the original's worker."""


class Parameters:
    """See the module.

    Args:
        known: the models and styles of the server.
        notes: take what cannot act.
    """

    def __init__(self, wish: Wish, known: Known, notes: Notes) -> None:
        self._wish = wish
        self._common = wish.common
        self._advanced = wish.advanced
        self._known = known
        self._notes = notes

    def all(self) -> dict[str, Any]:
        """Of all kinds."""
        return {**self._prompts(), **self._models(), **self._sampled(), **self._guided(), **self.file()}

    def size(self) -> Size:
        """Of a picture made from text."""
        asked = size_in(self._common.aspect_ratios_selection)
        width, height = self._advanced.overwrite_width, self._advanced.overwrite_height
        return Size(width if width > 0 else asked.width, height if height > 0 else asked.height)

    def file(self) -> dict[str, Any]:
        """Of the files, also those that no prompt is needed for."""
        wish = self._wish
        params: dict[str, Any] = {"format": FORMATS[wish.extension].value, "quality": _QUALITY}
        if self._advanced.black_out_nsfw:
            params["safety_check"] = True
        if wish.saves_metadata:
            scheme = _SCHEMES.get(wish.metadata_scheme)
            if scheme is None:
                name = wish.metadata_scheme
                self._notes.add("unknown_name", f"meta_scheme: there is no {name!r:.60}; fooocus was taken instead")
            params["metadata"] = scheme or "fooocus"
        return params

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
                self._notes.add("unknown_name", f"style_selections: there is no style {name!r:.80}; left out")
        if len(chosen) > MAX_STYLES:
            self._notes.add("parameter_unused", f"style_selections: {MAX_STYLES} of {len(chosen)} styles were taken")
        return chosen[:MAX_STYLES]

    def _models(self) -> dict[str, Any]:
        common, advanced = self._common, self._advanced
        checkpoint = self._checkpoint()
        params: dict[str, Any] = {"model": checkpoint.name if checkpoint is not None else None}
        params["loras"] = self._loras(checkpoint or self._known.default)
        refiner = self._named("refiner_model_name", ModelKind.CHECKPOINT, common.refiner_model_name)
        switch = advanced.overwrite_switch if advanced.overwrite_switch > 0 else common.refiner_switch
        if switch > 1:
            switch = share_before(switch, common.performance_selection, advanced.overwrite_step)
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
            self._notes.add(
                "model_replaced", f"base_model_name: there is no {name!r:.120}; the server's default is used"
            )
        return found

    def _loras(self, checkpoint: ModelInfo | None) -> list[Mapping[str, Any]]:
        is_chosen = "loras" in self._common.model_fields_set
        used: list[Mapping[str, Any]] = []
        for lora in self._common.loras:
            if not lora.enabled or lora.model_name == NONE:
                continue
            found = self._lora(lora, checkpoint) if is_chosen else self._usual_lora(lora, checkpoint)
            if found is not None:
                used.append({"name": found.name, "weight": float(lora.weight)})
        if len(used) > MOST_LORAS:
            self._notes.add("parameter_unused", f"loras: the first {MOST_LORAS} of {len(used)} were taken")
        return used[:MOST_LORAS]

    def _lora(self, lora: Lora, checkpoint: ModelInfo | None) -> ModelInfo | None:
        found = self._named("loras", ModelKind.LORA, lora.model_name)
        if found is not None and checkpoint is not None and not _may_fit(found, checkpoint):
            self._notes.add("lora_misfit", f"loras: {found.name!r:.120} is not for {checkpoint.name!r:.120}; left out")
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
            self._notes.add("model_replaced", f"{field}: there is no {kind} {name!r:.120}; left out")
        return found

    def _swap_method(self) -> str:
        method = self._advanced.refiner_swap_method
        if method in SWAP_METHODS:
            return method
        self._notes.add(
            "unknown_name", f"refiner_swap_method: there is no {method!r:.60}; {DEFAULT_SWAP} was taken instead"
        )
        return DEFAULT_SWAP

    def _sampled(self) -> dict[str, Any]:
        common, advanced = self._common, self._advanced
        chosen = sampling(advanced.sampler_name, advanced.scheduler_name)
        self._notes.extend(chosen.notes)
        params: dict[str, Any] = {
            "performance": OUR_PERFORMANCE[common.performance_selection].value,
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
            "clip_skip": advanced.clip_skip - USUAL_CLIP_SKIP,
            "preview_px": self._preview_px(),
        }
        if advanced.overwrite_step > 0:
            params["steps"] = advanced.overwrite_step
        if advanced.freeu_enabled:
            params["freeu"] = {name: float(getattr(advanced, f"freeu_{name}")) for name in ("b1", "b2", "s1", "s2")}
        return params

    def _preview_px(self) -> int:
        """Of the longer side; that of a picture whose size is not known yet as of a usual one."""
        longest = max(self.size()) // _PREVIEW_SHARE
        return min(_MOST_PREVIEW_PX, max(_LEAST_PREVIEW_PX, longest))

    def _guided(self) -> dict[str, Any]:
        checkpoint = self._known.find(ModelKind.CHECKPOINT, self._common.base_model_name) or self._known.default
        guides = self._wish.guides
        if len(guides) > MOST_GUIDES:
            self._notes.add("parameter_unused", f"image_prompts: the first {MOST_GUIDES} of {len(guides)} were taken")
        made = guide_params(
            guides[:MOST_GUIDES],
            self._known,
            family=checkpoint.family if checkpoint is not None else None,
            thresholds=Thresholds(self._advanced.canny_low_threshold, self._advanced.canny_high_threshold),
            skips_preprocessing=self._advanced.skipping_cn_preprocessor,
        )
        self._notes.extend(made.notes)
        params: dict[str, Any] = {}
        if made.image_prompts:
            params["image_prompts"] = made.image_prompts
        if made.controls:
            params |= {"controls": made.controls, "control_softness": float(self._advanced.controlnet_softness)}
        return params


def _may_fit(lora: ModelInfo, checkpoint: ModelInfo) -> bool:
    """Whether nothing is known against it."""
    families = {lora.family, checkpoint.family} - {None, "unknown", "other"}
    bases = {family.removesuffix("_inpaint").removesuffix("_refiner") for family in families if family is not None}
    return len(bases) <= 1
