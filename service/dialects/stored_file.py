"""What a job made, as it lies on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from protocol.events import OutputReady
from service.files import Files


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An output of a job.

    Attributes:
        path: the file; gone when the job expires.
        media_type: of the file.
        width, height: in pixels; None for what is no picture.
        seed: what it was made with; None where there was none.
        data: what an output that is no picture says.
    """

    path: Path
    media_type: str
    size_bytes: int
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    data: Mapping[str, Any] | None = field(default=None)

    @classmethod
    def of(cls, files: Files, job_id: str, ready: OutputReady) -> Self:
        """The file of an output that is ready."""
        return cls(
            path=files.output(job_id, ready.index, ready.media_type, ready.sha256),
            media_type=ready.media_type,
            size_bytes=ready.size_bytes,
            width=ready.width,
            height=ready.height,
            seed=ready.seed,
            data=ready.data,
        )
