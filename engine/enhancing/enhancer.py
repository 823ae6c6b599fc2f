"""The stages of a job whose pictures are enhanced, one image after the other.

    the picture, made or given -> rework -> region -> region ... -> rework -> output

Each stage is the work of `inpaint` or `image_to_image` on what the stage before has left, with the seed of the image.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

from engine import images
from engine.diffusion.families import FAMILIES, PipelineKind
from engine.diffusion.studio import Studio
from engine.enhancing.regions import RegionFinder
from engine.enhancing.stage_context import StageContext
from engine.enhancing.stage_params import picture_params, region_params, rework_params
from engine.images import Picture
from engine.interface import Call, EngineError, Run, RunContext, Steps, Where
from engine.library.records import FoundModel
from engine.made import Made, Take
from engine.plugins.files import PluginFiles
from engine.safety.censoring import look_at
from engine.safety.checkers import SafetyChecker, bring_checker
from engine.tasks.image_to_image import image_to_image
from engine.tasks.inpaint import Marked, inpaint, shaped
from engine.tasks.upscale import chosen_model, enlarge, largest_factor, sign_enlarged
from protocol.editing import UpscaleModel
from protocol.enhancing import EnhancedRegion, Moment, Rework
from protocol.errors import ErrorCode
from protocol.generation import GenerationParams
from protocol.requests import TaskName


class Begin(Protocol):
    """Makes the one picture that a run leaves to be made, and hands it on."""

    def __call__(self, run: Run, context: RunContext, *, take: Take) -> Steps: ...


_Stage: TypeAlias = Callable[[int, Made, StageContext], Generator[Call, Any, Made | None]]
"""(image, what the stage before has left, its context) -> what it leaves; None: there was nothing to do."""
_OWN_INPUTS: Final = ("image", "mask")
"""Of the request; a stage has its own."""
_FINDING: Final = 0.3
"""Share of the stage of a region."""


class Enhancer:
    """One job. For the executor thread.

    Args:
        given: what the stages work on; or
        begin: makes it, as a stage of its own, of which there may be an output too.
    """

    def __init__(
        self,
        run: Run,
        context: RunContext,
        studio: Studio,
        plugins: PluginFiles,
        *,
        given: Picture | None = None,
        begin: Begin | None = None,
    ) -> None:
        params = run.params
        assert isinstance(params, GenerationParams)
        assert params.enhance is not None
        assert (given is None) != (begin is None)
        self._run = run
        self._params = params
        self._enhancing = params.enhance
        self._context = context
        self._studio = studio
        self._plugins = plugins
        self._given = given
        self._begin = begin
        self._finder = RegionFinder(studio.residency, plugins)
        self._told: set[str] = set()
        self._checker: SafetyChecker | None = None
        self._stages = self._all_stages()
        self._outputs = len(self._stages) + (begin is not None) if self._enhancing.keep_stages else 1
        """For each image, at most."""

    def make_all(self) -> Steps:
        """Go through the stages of every image. Use with `yield from`.

        Raises:
            EngineError: as `inpaint` and `image_to_image`; of what is missing to find the regions, and of a model that
                cannot do the stages, before anything.

        Warns:
            nothing_found: a region is not in a picture; it is left out.
        """
        yield from self._check_model()
        for region in self._enhancing.regions:
            yield from self._finder.prepare(region)
        if self._params.safety_check:
            self._checker = yield from bring_checker(self._plugins, self._studio.residency)
        for index in range(self._run.first_image // self._outputs, self._params.images):
            with self._context.image((index + 1) * self._outputs - 1):
                yield from self._make(index)

    def _check_model(self) -> Steps:
        """Raises EngineError: `invalid_params`: the family of the model cannot do what the stages are made of."""
        found: FoundModel = yield Call(partial(self._studio.find, self._params.model), Where.POOL, "read")
        spec = FAMILIES.get(found.family)
        rework = self._enhancing.rework
        needed = {PipelineKind.INPAINT} if self._enhancing.regions else set()
        if rework is not None and rework.redraw:
            needed.add(PipelineKind.IMAGE_TO_IMAGE)
        # Of other families nothing is known before they are loaded.
        if spec is not None and spec.pipelines and not needed <= spec.pipelines.keys():
            lacking = ", ".join(sorted(needed - spec.pipelines.keys()))
            message = f"enhance: needs a model for {lacking}, which {found.name!r} is not, at $.params.model"
            raise EngineError(ErrorCode.INVALID_PARAMS, message)

    def _make(self, index: int) -> Steps:
        """One image."""
        # A picture that is given takes no stage.
        first = 0 if self._begin is None else 1
        count, kept = first + len(self._stages), False
        if self._begin is None:
            assert self._given is not None
            made = Made(self._given, None, {})
        else:
            run = replace(self._run, params=picture_params(self._params, index), first_image=index)
            begin, context = self._begin, self._within(index, 0, count)
            made = yield from _taken(lambda take: begin(run, context, take=take))
            if self._enhancing.keep_stages:
                yield from self._keep(index * self._outputs, made, index)
            kept = True
        for number, stage in enumerate(self._stages, start=first):
            if made.is_censored:
                break
            result = yield from stage(index, made, self._within(index, number, count))
            if result is not None:
                made, kept = result, True
                if self._enhancing.keep_stages:
                    yield from self._keep(index * self._outputs + number, made, index)
        if not (self._enhancing.keep_stages and kept):
            yield from self._keep((index + 1) * self._outputs - 1, made, index)

    def _within(self, index: int, number: int, count: int) -> StageContext:
        return StageContext(
            self._context,
            images=self._params.images,
            index=index,
            since=number / count,
            until=(number + 1) / count,
            told=self._told,
        )

    def _keep(self, number: int, made: Made, index: int) -> Steps:
        """Make an output, unless an earlier attempt has."""
        if number < self._run.first_image:
            return
        if self._checker is not None and "is_censored" not in made.data:
            seen = yield from look_at(made.picture, index, self._checker, self._context.warn)
            made = replace(made, picture=seen.picture, data={**made.data, "is_censored": seen.is_censored})
        encode = partial(images.encode_for, made.picture, self._params)
        yield from self._context.output(number, encode, seed=made.seed, data=made.data)

    def _all_stages(self) -> list[_Stage]:
        rework = self._enhancing.rework
        stages: list[_Stage] = [
            partial(self._repaint, number, region) for number, region in enumerate(self._enhancing.regions)
        ]
        if rework is not None:
            stages.insert(0 if rework.when is Moment.BEFORE else len(stages), partial(self._rework, rework))
        return stages

    def _repaint(
        self, number: int, region: EnhancedRegion, index: int, before: Made, context: StageContext
    ) -> Generator[Call, Any, Made | None]:
        """Find a region, and have `inpaint` repaint it."""
        found = yield from self._finder.find(region, before.picture, context.part(0, _FINDING))
        params = region_params(self._params, region, index)
        mask = yield Call(partial(shaped, found.mask, params), Where.POOL, "compose")
        # What is turned round is found where nothing is.
        if not mask.any() or not found.mask.any():
            context.warn("nothing_found", f"enhance.regions[{number}]: nothing was found; the region is left out")
            return None
        run = self._stage_run(TaskName.INPAINT, params, index)
        made = yield from _taken(
            lambda take: inpaint(
                run,
                context.part(_FINDING, 1),
                self._studio,
                self._plugins,
                read=lambda: Marked(before.picture, found.mask),
                take=take,
            )
        )
        return _noted(before, made, {"stage": "region", "region": number, **found.data, "area_px": int(mask.sum())})

    def _rework(
        self, rework: Rework, index: int, before: Made, context: StageContext
    ) -> Generator[Call, Any, Made | None]:
        """Have `image_to_image` make all of the picture anew; or enlarge it only."""
        params = rework_params(self._params, self._enhancing, rework, index)
        if rework.redraw:
            run = self._stage_run(TaskName.IMAGE_TO_IMAGE, params, index)
            made = yield from _taken(
                lambda take: image_to_image(
                    run, context, self._studio, self._plugins, read=lambda: before.picture, take=take
                )
            )
            return _noted(before, made, {"stage": "rework", "strength": params.strength})
        assert rework.upscale is not None
        residency = self._studio.residency
        used = chosen_model(rework.upscale_model or UpscaleModel.AUTO, residency.device)
        factor = min(rework.upscale, largest_factor(before.picture))
        picture = yield from enlarge(before.picture, rework.upscale, used, residency, self._plugins, context, until=1.0)
        if before.seed is None:  # else the file says already what the picture was made with
            sign = partial(sign_enlarged, picture, used, factor, params, context.warn)
            picture = yield Call(sign, Where.POOL, "finish")
        made = Made(picture, before.seed, {"model": used.value, **before.data})
        return _noted(before, made, {"stage": "enlarged", "model": used.value, "factor": round(factor, 4)})

    def _stage_run(self, task: TaskName, params: GenerationParams, index: int) -> Run:
        inputs = {name: path for name, path in self._run.inputs.items() if name not in _OWN_INPUTS}
        return replace(self._run, task=task, params=params, inputs=inputs, first_image=index)


def _taken(work: Callable[[Take], Steps]) -> Generator[Call, Any, Made]:
    """The picture that a stage makes."""
    made: list[Made] = []
    yield from work(made.append)
    (only,) = made
    return only


def _noted(before: Made, made: Made, what: Mapping[str, Any]) -> Made:
    """With what has been done to it so far."""
    return replace(made, data={**made.data, "enhanced": [*before.data.get("enhanced", ()), what]})
