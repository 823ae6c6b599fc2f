"""What is done to a picture between its last step and its file: it is put together, looked at, and signed."""

from functools import partial
from typing import Any, cast

from engine.diffusion.generation_job import GenerationJob
from engine.diffusion.job_wording import JobWording
from engine.diffusion.made_with import MadeWith
from engine.images import Floats, Picture, encode_for, to_uint8
from engine.interface import Call, EncodedImage, Where
from engine.made import Made
from engine.prompting.expand import Wording
from engine.safety.censoring import look_at
from engine.safety.checkers import SafetyChecker, bring_checker
from engine.signing import sign
from engine.steps import await_call, await_steps
from protocol.finishing import MetadataScheme


class Finishing:
    """Of the images of one job. In its greenlet, except where a method says otherwise."""

    def __init__(self, job: GenerationJob, wording: JobWording) -> None:
        self._job = job
        self._wording = wording
        self._made_with = MadeWith(job)
        self._checker: SafetyChecker | None = None

    def prepare(self) -> None:
        """Have in memory what looks at the pictures, if they are to be looked at.

        Raises:
            EngineError: `model_missing`, before a picture is begun that could not be shown; `bad_model`.
        """
        if self._job.params.safety_check:
            studio = self._job.studio
            self._checker = await_steps(bring_checker(studio.plugins, studio.residency))

    def keep(self, index: int, generated: Floats, seed: int) -> None:
        """Make the output of image `index`, or hand the picture on to what takes it.

        Args:
            generated: what the model made, (H, W, 3) at the size it works at.
        """
        job, wording = self._job, self._wording.of(index)
        data: dict[str, Any] = {**job.data(), **self._wording.data(index)}
        finish = partial(job.scene.finish, generated)
        if self._checker is not None:
            picture = cast("Picture", await_call(Call(finish, Where.POOL, "finish")))
            seen = await_steps(look_at(picture, index, self._checker, job.context.warn))
            data["is_censored"] = seen.is_censored
            finish = partial(_as_it_is, seen.picture)
            shown = partial(to_uint8, seen.picture.rgb)
            job.context.preview(job.steps, shown, image=index, max_px=job.params.preview_px)
        signed = partial(self._signed, finish, wording, seed)
        if job.take is not None:
            picture = cast("Picture", await_call(Call(signed, Where.POOL, "finish")))
            job.take(Made(picture, seed, data))
            return
        encode_it = partial(self._encode, signed)
        await_steps(job.context.output(index, encode_it, seed=seed, data=data))

    def _encode(self, signed: "partial[Picture]") -> EncodedImage:
        """On the side pool."""
        return encode_for(signed(), self._job.params)

    def _signed(self, finish: "partial[Picture]", wording: Wording, seed: int) -> Picture:
        """On the side pool."""
        params, picture = self._job.params, finish()
        if params.metadata is not MetadataScheme.NONE:
            recipe = self._made_with.recipe(wording, seed, picture.width, picture.height)
            picture = sign(picture, recipe, params.metadata, params.format, self._job.warn)
        return picture


def _as_it_is(picture: Picture) -> Picture:
    return picture
