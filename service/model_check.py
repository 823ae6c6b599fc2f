"""Requests that name models this server has not, refused before there is a job."""

import time
from collections.abc import Sequence
from typing import Final, Protocol

import anyio
import anyio.to_thread

from protocol.errors import ProtocolError
from protocol.named_models import NamedModel, named_models
from protocol.params import TaskParams
from protocol.requests import JobRequest

_LOOKS_AT_ONCE: Final = 1
"""A second one would wait for the first in any case, on a thread that others need."""


class Wanted(Protocol):
    """What is known of the models on the disk. Every method may block; any thread may call any."""

    def check(self, params: TaskParams, at: str = "$") -> None:
        """Look for every model that `params` name among those known, without listing any folder.

        Args:
            at: JSONPath of the request in what the client sent.

        Raises:
            ProtocolError: one cannot be had.
        """
        ...

    def has(self, named: NamedModel) -> bool:
        """Whether there is something of that kind which the name means, usable or not."""
        ...

    def look(self, asked_at: float) -> None:
        """Look at the disk, unless somebody has begun to since `asked_at`, of `time.monotonic`."""
        ...


class ModelCheck:
    """See the module. For the event loop.

    Args:
        wanted: None where nothing is known of the models of those who run the jobs: then nothing is refused.
    """

    def __init__(self, wanted: Wanted | None) -> None:
        self._wanted = wanted
        self._looking = anyio.CapacityLimiter(_LOOKS_AT_ONCE)

    async def check(self, request: JobRequest, *, at: str = "$") -> None:
        """Look for the models that a request names; for one that is not known or damaged, on the disk.

        Args:
            at: JSONPath of the request in what the client sent.

        Raises:
            ProtocolError: `model_missing`, `bad_model`, or `invalid_params` for a name that means several.
        """
        if self._wanted is None or not named_models(request.params):
            return
        asked_at = time.monotonic()
        try:
            await anyio.to_thread.run_sync(self._wanted.check, request.params, at)
        except ProtocolError:
            # It may have been put there, or replaced, since the last look.
            await anyio.to_thread.run_sync(self._wanted.look, asked_at, limiter=self._looking)
            await anyio.to_thread.run_sync(self._wanted.check, request.params, at)

    async def missing(self, named: Sequence[NamedModel]) -> Sequence[NamedModel]:
        """Those of `named` that are not there; looked for on the disk if they are not known."""
        if self._wanted is None:
            return ()
        asked_at = time.monotonic()
        missing = await anyio.to_thread.run_sync(_not_had, self._wanted, named)
        if missing:
            # See above.
            await anyio.to_thread.run_sync(self._wanted.look, asked_at, limiter=self._looking)
            missing = await anyio.to_thread.run_sync(_not_had, self._wanted, missing)
        return missing


def _not_had(wanted: Wanted, named: Sequence[NamedModel]) -> Sequence[NamedModel]:
    return [each for each in named if not wanted.has(each)]
