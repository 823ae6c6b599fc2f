"""Rework a given picture, and repaint what is found in it; and the same for pictures that other tasks make."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from engine import images
from engine.diffusion.studio import Studio
from engine.enhancing.enhancer import Enhancer
from engine.images import Picture
from engine.interface import Call, Run, RunContext, Steps, Where
from engine.made import Take
from engine.plugins.files import PluginFiles
from protocol.generation import EnhanceParams, GenerationParams


class Generating(Protocol):
    """A generating task."""

    def __call__(self, run: Run, context: RunContext, *, take: Take | None = None) -> Steps:
        """
        Args:
            take: gets the pictures in the place of outputs.
        """
        ...


def enhance(run: Run, context: RunContext, studio: Studio, plugins: PluginFiles) -> Steps:
    """One output per image; with `keep_stages` one per stage of an image, as far as it had something to do.

    Raises:
        EngineError: see `engine.enhancing.enhancer.Enhancer.make_all`.
    """
    params = run.params
    assert isinstance(params, EnhanceParams)
    read = partial(images.decode, run.inputs["image"], warn=context.warn, keep_metadata=params.keep_metadata)
    picture: Picture = yield Call(read, Where.POOL, "read")
    yield from Enhancer(run, context, studio, plugins, given=picture).make_all()


def with_enhancing(task: Generating, studio: Studio, plugins: PluginFiles) -> Callable[[Run, RunContext], Steps]:
    """A generating task whose pictures are enhanced where a request asks for that."""

    def steps(run: Run, context: RunContext) -> Steps:
        assert isinstance(run.params, GenerationParams)
        if run.params.enhance is None:
            return task(run, context)
        return Enhancer(run, context, studio, plugins, begin=task).make_all()

    return steps
