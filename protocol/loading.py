"""What may be asked of the task that brings a model into memory before anybody needs it."""

from protocol.params import ModelName, TaskParams


class LoadModelParams(TaskParams):
    """Load a checkpoint, or find it loaded. It makes no output; its end says that the model can be used."""

    model: ModelName
