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
from protocol.requests import TaskName
from service.dialects.fooocus.choices import DEFAULT_INPAINT_ENGINE, INPAINT_ENGINES, NONE, Side, UovMethod
from service.dialects.fooocus.notes import Notes
from service.dialects.fooocus.parameters import Parameters
from service.dialects.fooocus.shelf import Known
from service.dialects.fooocus.sizes import continued_px
from service.dialects.fooocus.wishes import Wish

_VARY: Final[Mapping[UovMethod, float]] = {UovMethod.VARY_SUBTLE: 0.5, UovMethod.VARY_STRONG: 0.85}
_FACTORS: Final[Mapping[UovMethod, float]] = {UovMethod.UPSCALE_1_5: 1.5, UovMethod.UPSCALE_2: 2.0}
_FAST_FACTOR: Final = 2.0
_CUSTOM_FACTOR: Final = 2.0
_UPSCALE_STRENGTH: Final = 0.382
_SOFT_EDGE_PX: Final = 32
_FILLED_FROM: Final = 0.99
"""The hole is filled with what is around it where the strength is above this."""
_SIDES: Final[Mapping[Side, str]] = {
    Side.LEFT: "left",
    Side.RIGHT: "right",
    Side.TOP: "top",
    Side.BOTTOM: "bottom",
}
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
        notes: the job's first warnings.
    """

    task: TaskName
    params: Mapping[str, Any]
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
        self._advanced = wish.advanced
        self._notes = Notes()
        self._parameters = Parameters(wish, known, self._notes)

    def order(self) -> Order:
        wish = self._wish
        for field in _DEBUGGING:
            if getattr(self._advanced, field):
                self._notes.add("debugging_unused", f"{field}: pictures of what is between are not made; left out")
        if wish.picture is None:
            return self._generated(TaskName.TEXT_TO_IMAGE, self._size())
        if wish.method is UovMethod.UPSCALE_FAST_2:
            params = {**self._parameters.file(), "image": wish.picture, "factor": _FAST_FACTOR}
            return self._ordered(TaskName.UPSCALE, params)
        if wish.method is not UovMethod.DISABLED:
            own = self._varied() if wish.method in _VARY else self._enlarged()
            return self._generated(TaskName.IMAGE_TO_IMAGE, {"image": wish.picture, **own})
        if wish.mask is None and not wish.sides:
            message = "input_image: there is no mask and no side to continue; it has no effect"
            self._notes.add("nothing_to_repaint", message)
            return self._generated(TaskName.TEXT_TO_IMAGE, self._size())
        return self._generated(TaskName.INPAINT, {"image": wish.picture, **self._hole()})

    def _generated(self, task: TaskName, own: Mapping[str, Any]) -> Order:
        """Of a generating task, with what is its own."""
        return self._ordered(task, {**self._parameters.all(), **own})

    def _ordered(self, task: TaskName, params: Mapping[str, Any]) -> Order:
        return Order(task, params, tuple(self._notes))

    def _size(self) -> dict[str, Any]:
        size = self._parameters.size()
        return {"width": size.width, "height": size.height}

    def _varied(self) -> dict[str, Any]:
        chosen = self._advanced.overwrite_vary_strength
        strength = chosen if chosen > 0 else _VARY[self._wish.method]
        return {"strength": float(strength), "size_rule": "model", "full_steps": True}

    def _enlarged(self) -> dict[str, Any]:
        wish, chosen = self._wish, self._advanced.overwrite_upscale_strength
        return {
            "strength": float(chosen) if chosen > 0 else _UPSCALE_STRENGTH,
            "upscale": float(_FACTORS.get(wish.method, wish.factor or _CUSTOM_FACTOR)),
            "full_steps": True,
        }

    def _hole(self) -> dict[str, Any]:
        wish, advanced = self._wish, self._advanced
        engine = self._inpaint_engine()
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
        if engine != NONE:
            params["inpaint_patch"] = engine
        if wish.mask is not None:
            params["mask"] = wish.mask
        if wish.sides and wish.size is not None:
            for side, asked_px in wish.sides.items():
                along = wish.size.width if side in {Side.LEFT, Side.RIGHT} else wish.size.height
                params[_SIDES[side]] = continued_px(along, asked_px)
        return params

    def _inpaint_engine(self) -> str:
        engine = self._advanced.inpaint_engine
        if engine in INPAINT_ENGINES:
            return engine
        message = f"inpaint_engine: there is no {engine!r:.60}; {DEFAULT_INPAINT_ENGINE} was taken instead"
        self._notes.add("unknown_name", message)
        return DEFAULT_INPAINT_ENGINE
