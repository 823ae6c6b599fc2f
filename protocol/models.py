"""A model as a client sees it."""

from pydantic import BaseModel, ConfigDict, Field

from protocol.requests import TaskName


class ModelInfo(BaseModel):
    """One model the server knows, there or not."""

    model_config = ConfigDict(frozen=True)

    name: str
    title: str
    tasks: tuple[TaskName, ...]
    licence: str = Field(description="Of the weights.")
    size_bytes: int = Field(ge=0)
    is_present: bool = Field(description="False: `safelight models pull NAME` on the server fetches it.")


class ModelList(BaseModel):
    """All models of a server."""

    model_config = ConfigDict(frozen=True)

    models: tuple[ModelInfo, ...]
