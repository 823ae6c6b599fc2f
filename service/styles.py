"""The styles of one server: which there are, and requests that name one that is none."""

from collections.abc import Sequence
from typing import Protocol

import anyio
import anyio.to_thread

from protocol.errors import ErrorCode, ProtocolError
from protocol.prompting import PromptingParams, StyleInfo, StyleList
from protocol.requests import JobRequest


class StyleFiles(Protocol):
    """What lies on the disk. Every method may block; any thread may call any."""

    def infos(self) -> Sequence[StyleInfo]:
        """All styles, in the order they are listed. Looks at the disk."""
        ...

    def check(self, names: Sequence[str]) -> tuple[int, str] | None:
        """The number of the first of these that is no style, and what to say of it; None if all are.

        Looks at the disk for one that is not known.
        """
        ...


class Styles:
    """See the module. For the event loop."""

    def __init__(self, files: StyleFiles) -> None:
        self._files = files
        # One look at a time: a second one would wait for the first in any case, on a thread that others need.
        self._looking = anyio.CapacityLimiter(1)

    async def list(self) -> StyleList:
        """Every style. Looks at the disk: new files are seen."""
        return StyleList(styles=tuple(await anyio.to_thread.run_sync(self._files.infos, limiter=self._looking)))

    async def check(self, request: JobRequest, *, at: str = "$") -> None:
        """Look for the styles that a request names.

        Args:
            at: JSONPath of the request in what the client sent.

        Raises:
            ProtocolError: `invalid_params`, with the names that are close.
        """
        if not isinstance(request.params, PromptingParams) or not request.params.styles:
            return
        problem = await anyio.to_thread.run_sync(self._files.check, request.params.styles, limiter=self._looking)
        if problem is not None:
            number, message = problem
            place = f"{at}.params.styles[{number}]"
            raise ProtocolError(ErrorCode.INVALID_PARAMS, f"styles: {message}, at {place}", place)
