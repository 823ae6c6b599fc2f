"""What the original keeps between requests: which model works, and which model each plugin uses.

It is of the server, not of a client: whoever switches, switches for all who come through this dialect. A name that is
not known changes nothing.
"""

from collections.abc import Collection
from typing import Final

from starlette.requests import Request

from protocol.erasing import EraseModel
from service.dialects.base import Desk
from service.dialects.iopaint.model_info import PREFERRED, by_name, listed
from service.dialects.iopaint.plugins import Plugin
from service.dialects.listed_model import Listed, eraser
from service.dialects.refusal import Refused
from service.profiles import Part, part_of
from service.wiring import Services

_SHOWN_NAMES: Final = 20


class Choices(Part):
    """The choices of one server. For the event loop only."""

    def __init__(self, services: Services) -> None:
        self.model: str | None = None
        """None until somebody switches: the setting, or what suits best."""
        self.plugin_models = {"InteractiveSeg": services.settings.iopaint_interactive_seg_model}
        """Of plugins somebody has switched, or a setting."""

    @classmethod
    def of(cls, request: Request) -> "Choices":
        """Those of the server a request came to."""
        return part_of(request, cls)

    def plugin_model(self, plugin: Plugin, present: Collection[str]) -> str:
        """Which model a plugin uses: the one chosen, else the first that is there, else the first it could use.

        Args:
            present: names of the models whose weights are on this server.
        """
        chosen = self.plugin_models.get(plugin.name)
        return chosen or next(iter((*plugin.usable(present), *plugin.served, *plugin.listed)), "")

    def switch_plugin(self, plugin: Plugin, model: str, present: Collection[str], *, may_fetch: bool) -> None:
        """
        Args:
            may_fetch: the server downloads models that requests need.

        Raises:
            Refused: 422: the plugin has no such model, or it is not on this server.
        """
        usable = plugin.usable(present, may_fetch=may_fetch)
        if model not in usable:
            there = ", ".join(usable) or "no model"
            raise Refused(422, f"model_name: {plugin.name} can use {there} on this server, got {model!r:.80}")
        self.plugin_models[plugin.name] = model

    async def __aexit__(self, *_: object) -> None:
        """Nothing is kept beyond the server's end."""

    async def models(self, desk: Desk) -> tuple[Listed, ...]:
        """All that can be used now. Looks at the disk."""
        return listed((await desk.services.models.list()).models)

    async def current(self, desk: Desk) -> Listed:
        """The model that works."""
        wanted = self.model or desk.services.settings.iopaint_model
        if wanted in set(EraseModel):  # known without a look at the disk; absent weights are fetched by the first job
            return eraser(EraseModel(wanted))
        there = by_name(await self.models(desk))
        if wanted is not None and wanted in there:
            return there[wanted]
        return next(there[name.value] for name in PREFERRED if name.value in there)

    async def find(self, desk: Desk, name: str) -> Listed:
        """The model of that name.

        Raises:
            Refused: 404: there is none, or its weights are not there.
        """
        there = by_name(await self.models(desk))
        if name not in there:
            names = ", ".join(list(there)[:_SHOWN_NAMES])
            raise Refused(404, f"model: {name!r:.80} is not on this server; there are {names}")
        return there[name]
