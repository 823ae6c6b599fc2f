"""Which model a request gets that names none, on a server that was not told."""

from collections.abc import Iterable
from typing import Final

from engine.library.records import FoundModel, ModelKind

EMBEDDED_MODEL: Final = "spark"
"""The model that comes with the program, and the default where there is no other."""


def default_checkpoint(models: Iterable[FoundModel]) -> FoundModel | None:
    """The first by name of the checkpoints that nothing speaks against; the embedded one only if it is the only one."""
    usable = [model for model in models if model.kind is ModelKind.CHECKPOINT and model.problem is None]
    return min(usable, key=lambda model: (model.name == EMBEDDED_MODEL, model.name), default=None)
