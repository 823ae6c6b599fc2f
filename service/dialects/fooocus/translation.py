"""From what a client of Fooocus wants to one job of ours: a task, its parameters, and notes on what cannot act.

Which task it is:

    no picture                        text_to_image
    Vary                              image_to_image, strength 0.5 or 0.85
    Upscale (1.5x, 2x, Custom)        image_to_image, enlarged first
    Upscale (Fast 2x)                 upscale
    a mask, or sides to continue      inpaint
    a picture and nothing of these    text_to_image, as in Fooocus
    a picture with parts to be found  enhance

What is enhanced of pictures that are made is a parameter of these tasks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from protocol.events import JobWarning
from protocol.requests import TaskName
from service.dialects.fooocus.choices import Side, UovMethod
from service.dialects.fooocus.enhancing import enhance_params
from service.dialects.fooocus.holes import hole_params
from service.dialects.fooocus.methods import FAST_FACTOR, made_anew
from service.dialects.fooocus.notes import Notes
from service.dialects.fooocus.parameters import Parameters
from service.dialects.fooocus.shelf import Known
from service.dialects.fooocus.sizes import continued_px
from service.dialects.fooocus.wishes import Wish

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
        enhancing = wish.enhancing
        self._enhanced = (
            None if enhancing is None else enhance_params(enhancing, wish.advanced, wish.factor, self._notes)
        )

    def order(self) -> Order:
        wish = self._wish
        for field in _DEBUGGING:
            if getattr(self._advanced, field):
                self._notes.add("debugging_unused", f"{field}: pictures of what is between are not made; left out")
        if wish.picture is None:
            return self._generated(TaskName.TEXT_TO_IMAGE, self._size())
        if wish.enhances_picture and self._enhanced:
            return self._generated(TaskName.ENHANCE, {"image": wish.picture})
        if wish.method is UovMethod.UPSCALE_FAST_2:
            params = {**self._parameters.file(), "image": wish.picture, "factor": FAST_FACTOR}
            if self._enhanced:
                self._notes.add("parameter_unused", "enhance: a picture that is only enlarged is not enhanced")
            return self._ordered(TaskName.UPSCALE, params)
        if wish.method is not UovMethod.DISABLED:
            own = made_anew(wish.method, self._advanced, wish.factor)
            return self._generated(TaskName.IMAGE_TO_IMAGE, {"image": wish.picture, **own})
        if wish.mask is None and not wish.sides:
            message = "input_image: there is no mask and no side to continue; it has no effect"
            self._notes.add("nothing_to_repaint", message)
            return self._generated(TaskName.TEXT_TO_IMAGE, self._size())
        return self._generated(TaskName.INPAINT, {"image": wish.picture, **self._hole()})

    def _generated(self, task: TaskName, own: Mapping[str, Any]) -> Order:
        """Of a generating task, with what is its own."""
        params = {**self._parameters.all(), **own}
        if self._enhanced:
            params["enhance"] = self._enhanced
        return self._ordered(task, params)

    def _ordered(self, task: TaskName, params: Mapping[str, Any]) -> Order:
        return Order(task, params, tuple(self._notes))

    def _size(self) -> dict[str, Any]:
        size = self._parameters.size()
        return {"width": size.width, "height": size.height}

    def _hole(self) -> dict[str, Any]:
        wish, advanced = self._wish, self._advanced
        params = hole_params(
            strength=1.0 if wish.sides else float(advanced.inpaint_strength),
            context=1.0 if wish.sides else float(advanced.inpaint_respective_field),
            grow_px=advanced.inpaint_erode_or_dilate,
            is_inverted=advanced.invert_mask_checkbox,
            starts_from_noise=advanced.inpaint_disable_initial_latent,
            engine=advanced.inpaint_engine,
            engine_field="inpaint_engine",
            notes=self._notes,
        )
        params["fit_mask"] = True
        if wish.mask is not None:
            params["mask"] = wish.mask
        if wish.sides and wish.size is not None:
            for side, asked_px in wish.sides.items():
                along = wish.size.width if side in {Side.LEFT, Side.RIGHT} else wish.size.height
                params[_SIDES[side]] = continued_px(along, asked_px)
        return params
