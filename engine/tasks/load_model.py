"""Bring a model into memory before anybody needs it."""

from engine.diffusion.studio import Studio
from engine.interface import Run, RunContext, Steps
from protocol.loading import LoadModelParams


def load_model(run: Run, context: RunContext, studio: Studio) -> Steps:
    """No output, and one step: the model is in memory, where it stays as long as any other that was used just now.

    Raises:
        EngineError: `model_missing`, `bad_model`.
    """
    assert isinstance(run.params, LoadModelParams)
    found = studio.find(run.params.model)
    yield from studio.ready(found)
    studio.stay(found)
    context.step(1, 1, progress=1.0, stage="load")
