"""Which erase model works for clients of the text-removal service, and what they are told of it."""

import time
from typing import Any, Final

from engine.interface.engine import EngineStatus
from protocol.erasing import EraseModel
from protocol.models import ModelKind
from service.dialects.listed_model import eraser
from service.wiring import Services

_LOOK_AGAIN_S: Final = 10.0
_STATUS: Final = {EngineStatus.READY: "ready", EngineStatus.LOADING: "not_started"}


class Erasers:
    """The choice of one server. For the event loop only.

    It is the operator's (`text_removal_model`); without one it is LaMa where its weights are, as in the original, and
    else our own fill, which needs none: the first request on a fresh machine must work.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._found = EraseModel.PATCHMATCH
        self._look_at = 0.0

    async def current(self) -> EraseModel:
        """The model that works now. Looks at the disk now and then."""
        settings = self._services.settings
        if settings.text_removal_model is not None:
            return settings.text_removal_model
        if self._found is EraseModel.PATCHMATCH and time.monotonic() >= self._look_at:
            models = (await self._services.models.list(kind=ModelKind.ERASER)).models
            usable = {model.name for model in models if model.is_present and model.problem is None}
            if EraseModel.LAMA in usable:
                self._found = EraseModel.LAMA
            self._look_at = time.monotonic() + _LOOK_AGAIN_S
        return self._found

    async def shown(self) -> dict[str, Any]:
        """As `/model` tells it."""
        model, engine = await self.current(), self._services.engine.state()
        is_ready = engine.status is EngineStatus.READY
        return {
            "name": model.value,
            "device": engine.device,
            "status": _STATUS.get(engine.status, "error"),
            "parameters": eraser(model).shown() if is_ready else None,
        }
