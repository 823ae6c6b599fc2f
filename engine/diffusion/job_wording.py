"""What the images of one job are made from, image by image."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

from engine.diffusion.generation_job import GenerationJob
from engine.diffusion.seeds import image_seed
from engine.interface import Call, Where
from engine.prompting.asked import told_of, written_in
from engine.prompting.expand import Wording, as_it_is
from engine.steps import await_call


class JobWording:
    """Words an image when it is first asked for, beside the device. In a job's greenlet."""

    def __init__(self, job: GenerationJob) -> None:
        self._job = job
        self._written = written_in(job.params)
        model = job.model
        if self._written.styles and not model.loaded.defaults.knows_styles:
            self._written = replace(self._written, styles=())
            job.warn("style_unused", f"styles have no effect: {model.found.name!r} knows plain words only")
        self._latest: tuple[int, Wording] | None = None

    def of(self, index: int) -> Wording:
        """What image `index` is made from.

        Raises:
            EngineError: see `Wordsmith.expand`.
        """
        if self._written.is_as_it_is:
            return as_it_is(self._written)
        if self._latest is None or self._latest[0] != index:
            seed, expand = image_seed(self._job.run, index), self._job.studio.wordsmith.expand
            word = partial(expand, self._written, image=index, seed=seed, warn=self._job.warn_each)
            self._latest = index, cast("Wording", await_call(Call(word, Where.POOL, "read")))
        return self._latest[1]

    def data(self, index: int) -> Mapping[str, Any]:
        """Of the output with that number; see `told_of`."""
        return told_of(self._written, self.of(index))
