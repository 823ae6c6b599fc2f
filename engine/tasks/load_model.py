"""Bring a model into memory before anybody needs it."""

from functools import partial

from engine.diffusion.studio import Studio
from engine.interface import Call, Run, RunContext, Steps, Where
from engine.library.records import FoundModel
from protocol.loading import LoadModelParams


def load_model(run: Run, context: RunContext, studio: Studio) -> Steps:
    """No output, and one step: the model is in memory, where it stays as long as any other that was used just now.

    Raises:
        EngineError: `model_missing`, `bad_model`.
    """
    assert isinstance(run.params, LoadModelParams)
    # Beside the device: it may have to look through folders.
    found: FoundModel = yield Call(partial(studio.find, run.params.model), Where.POOL, "read")
    yield from studio.ready(found)
    studio.stay(found)
    context.step(1, 1, progress=1.0, stage="load")
