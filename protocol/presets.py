"""Presets as a client sees them: values, under one name, for what a request leaves out."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

PresetName = Annotated[str, Field(min_length=1, max_length=200)]


class PresetInfo(BaseModel):
    """One preset a server knows."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="What `preset` of a task means.")
    source: str = Field(description="packaged, or files: of the server's folders.")
    params: dict[str, Any] = Field(description="The parameters it gives, where a task has them.")
    models: tuple[str, ...] = Field((), description="Checkpoints it would have; the first that is there is taken.")
    unused: tuple[str, ...] = Field((), description="What it says that this server has no use for.")
    problem: str | None = Field(None, description="Why it cannot be used, if something speaks against it.")


class PresetList(BaseModel):
    """All presets of a server."""

    model_config = ConfigDict(frozen=True)

    presets: tuple[PresetInfo, ...]
