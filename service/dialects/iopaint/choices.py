"""What the original keeps between requests: which model works, and which model each plugin uses.

It is of the server, not of a client: whoever switches, switches for all who come through this dialect. A name that is
not known changes nothing.
"""

from typing import Final

from starlette.requests import Request

from protocol.erasing import EraseModel
from service.dialects.base import Desk
from service.dialects.iopaint.errors import Refused
from service.dialects.iopaint.model_info import PREFERRED, Listed, eraser, listed

_SHOWN_NAMES: Final = 20


class Choices:
    """The choices of one server. For the event loop only."""

    def __init__(self) -> None:
        self.model: str | None = None
        """None until somebody switches: the setting, or what suits best."""
        self.plugin_models: dict[str, str] = {}
        """Of plugins somebody has switched."""

    @classmethod
    def of(cls, request: Request) -> "Choices":
        """Those of the application a request came to."""
        state = request.app.state
        if not hasattr(state, "iopaint_choices"):
            state.iopaint_choices = cls()
        choices: Choices = state.iopaint_choices
        return choices

    async def models(self, desk: Desk) -> tuple[Listed, ...]:
        """All that can be used now. Looks at the disk."""
        return listed((await desk.services.models.list()).models)

    async def current(self, desk: Desk) -> Listed:
        """The model that works."""
        wanted = self.model or desk.services.settings.iopaint_model
        if wanted in set(EraseModel):  # known without a look at the disk; absent weights are fetched by the first job
            return eraser(EraseModel(wanted))
        there = {model.name: model for model in await self.models(desk)}
        if wanted in there:
            return there[wanted]
        return next(there[name.value] for name in PREFERRED if name.value in there)

    async def find(self, desk: Desk, name: str) -> Listed:
        """The model of that name.

        Raises:
            Refused: 404: there is none, or its weights are not there.
        """
        there = {model.name: model for model in await self.models(desk)}
        if name not in there:
            names = ", ".join(list(there)[:_SHOWN_NAMES])
            raise Refused(404, f"model: {name!r:.80} is not on this server; there are {names}")
        return there[name]
