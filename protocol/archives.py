"""Several outputs in one file: what a client may ask for."""

from typing import Final

from pydantic import Field

from protocol.params import Frozen

MAX_ARCHIVED: Final = 1000
"""Outputs in one archive."""


class ArchivedOutput(Frozen):
    """One output, or all that a job has."""

    job_id: str
    index: int | None = Field(None, ge=0, description="Of the output; without it all outputs of the job.")


class ArchiveRequest(Frozen):
    """The outputs to be packed, in the order they are to have."""

    outputs: tuple[ArchivedOutput, ...] = Field(min_length=1, max_length=MAX_ARCHIVED)
