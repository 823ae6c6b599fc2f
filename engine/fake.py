"""An engine without any model: the same tasks, in deterministic steps, with pictures made up from their inputs.

For tests, for work on a front end, and for machines without torch. What comes out has the size, the number, the
formats and the warnings of the real tasks; what is in it is simple geometry. Needs numpy and Pillow only.
"""

from functools import partial
from typing import Final

import numpy as np

from engine import images
from engine.fake_memory import FakeMemory, Tell, say_nothing
from engine.fake_pictures import make_products
from engine.fake_product import Product
from engine.images import Bytes
from engine.interface import Call, LiveJob, Run, RunContext, Steps, Where
from engine.interface.engine import ModelMemory
from engine.memory import default_budget_bytes
from engine.prompting.expand import Wordsmith
from engine.prompting.styles import StyleBook
from engine.steps import GeneratorJob
from engine.tasks.test_pattern import Hold, HoldTogether, draw_test_pattern, hold
from protocol.editing import TestPatternParams
from protocol.generation import GenerationParams
from protocol.loading import LoadModelParams
from protocol.params import TaskParams
from protocol.requests import TaskName
from protocol.seeds import first_seed

STEPS: Final = 4
"""Steps per image of every task but the test pattern."""


class FakeBackend:
    """Implements `engine.backend.Backend`.

    Args:
        step_s: the least time a step holds the device.
        batch_limit: how many steps of different test patterns run as one; 1 is none.
        load_s: how long loading takes.
        tell: hears `model.loading`, `model.loaded` and `model.unloaded`.
        wordsmith: has the styles and wildcards for prompts; None takes the packaged ones.
    """

    def __init__(
        self,
        *,
        step_s: float = 0.0,
        batch_limit: int = 1,
        load_s: float = 0.0,
        tell: Tell = say_nothing,
        wordsmith: Wordsmith | None = None,
    ) -> None:
        self._step_s = step_s
        self._load_s = load_s
        self._memory = FakeMemory(tell)
        self._wordsmith = wordsmith or Wordsmith(StyleBook())
        self._group = HoldTogether(batch_limit) if batch_limit > 1 else None

    def load(self) -> str:
        hold(Hold(self._load_s))
        return "fake"

    def budget_bytes(self) -> int:
        return default_budget_bytes()

    def prepare_pool_thread(self) -> None:
        """Its threads need nothing."""

    def open(self, run: Run, context: RunContext) -> LiveJob:
        if run.task is TaskName.TEST_PATTERN:
            return GeneratorJob(draw_test_pattern(run, context, group=self._group, step_s=self._step_s))
        if isinstance(run.params, LoadModelParams):
            return GeneratorJob(_load_model(run.params.model, context, self._memory, self._step_s))
        return GeneratorJob(_work(run, context, self._wordsmith, self._step_s))

    def free_memory(self) -> None:
        """There are no caches."""

    def is_out_of_memory(self, error: Exception) -> bool:
        return isinstance(error, MemoryError)

    def memory(self) -> ModelMemory:
        return self._memory.memory

    def unload_model(self, name: str, reason: str) -> None:
        self._memory.unload(name, reason)

    def rest(self, idle_s: float) -> None:
        self._memory.unload_idle(idle_s)

    def close(self) -> None:
        """There is nothing to give back."""


def _load_model(name: str, context: RunContext, memory: FakeMemory, step_s: float) -> Steps:
    yield Call(partial(hold, Hold(step_s)), stage="load")
    memory.load(name)
    context.step(1, 1, progress=1.0, stage="load")


def _work(run: Run, context: RunContext, wordsmith: Wordsmith, step_s: float) -> Steps:
    assert not isinstance(run.params, TestPatternParams)
    products: list[Product] = yield Call(partial(_prepare, run, context, wordsmith), where=Where.POOL, stage="read")
    for place, product in enumerate(products):
        number = place if product.number is None else product.number
        index = place if product.image is None else product.image
        if number < run.first_image:
            continue
        with context.image(number):
            for step in range(1, STEPS + 1):
                yield Call(partial(hold, Hold(step_s)))
                done = step / STEPS
                context.step(step, STEPS, image=index, progress=(place + done) / len(products))
                if context.wants_previews:
                    context.preview(step, partial(_between, product, done), image=index)
            yield from context.output(number, product.encode, seed=product.seed, data=product.data)


def _prepare(run: Run, context: RunContext, wordsmith: Wordsmith) -> list[Product]:
    inputs = {name: images.decode(path, warn=context.warn) for name, path in run.inputs.items()}
    told: set[str] = set()

    def warn(code: str, message: str) -> None:
        if message not in told:  # once, however many images there are
            told.add(message)
            context.warn(code, message)

    return make_products(_seeded(run), inputs, warn, wordsmith)


def _seeded(run: Run) -> TaskParams:
    """The parameters of a job, with the seed it has where none was asked for."""
    params = run.params
    if not isinstance(params, GenerationParams):
        return params
    return params.model_copy(update={"seed": first_seed(run.job_id, params.seed)})


def _between(product: Product, done: float) -> Bytes:
    """A preview: the old picture on the right, the new one from the left as far as it is done."""
    after = images.thumbnail(product.after.rgb)
    height, width = after.shape[:2]
    before = images.thumbnail(product.before.rgb)
    rows, columns = np.arange(height) * before.shape[0] // height, np.arange(width) * before.shape[1] // width
    shown: Bytes = before[rows[:, None], columns]
    edge = round(done * width)
    shown[:, :edge] = after[:, :edge]
    return shown
