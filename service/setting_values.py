"""What settings can be: how much, how long, and which of a few."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(ge=1)]
Bytes = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class EngineKind(StrEnum):
    """Which engine runs the jobs: the real one, or one without models for trying things out."""

    TORCH = "torch"
    FAKE = "fake"


class LogFormat(StrEnum):
    """How a log line looks: for people, or for machines."""

    CONSOLE = "console"
    JSON = "json"


class Synchronous(StrEnum):
    """What a commit survives: the end of the process, or also a power loss (SQLite's `synchronous`)."""

    NORMAL = "normal"
    FULL = "full"
