"""What may be asked of the task that brings a model into memory before anybody needs it."""

from protocol.generation import ModelName
from protocol.params import TaskParams


class LoadModelParams(TaskParams):
    """Load a checkpoint, or find it loaded. It makes no output; its end says that the model can be used."""

    model: ModelName
