"""Which models are on their way, for those who come in the middle of it."""

from protocol.events import Event, ModelAdded, ModelFailed, ModelLoaded, ModelLoading, ModelUnloaded
from service.records import JobRecord


class ModelLoads:
    """The newest `model.loading` of each model that is not there yet. A listener of the pump."""

    def __init__(self) -> None:
        self._loading: dict[str, ModelLoading] = {}

    @property
    def loading(self) -> tuple[ModelLoading, ...]:
        """In the order they began."""
        return tuple(self._loading.values())

    def published(self, event: Event, _record: JobRecord | None) -> None:
        body = event.body
        if isinstance(body, ModelLoading):
            self._loading[body.model] = body
        elif isinstance(body, ModelLoaded | ModelUnloaded | ModelAdded | ModelFailed):
            self._loading.pop(body.model, None)
