"""Which models are on their way, for those who come in the middle of it."""

from protocol.events import Event, ModelAdded, ModelFailed, ModelLoaded, ModelLoading, ModelUnloaded
from service.records import JobRecord


class ModelLoads:
    """The newest `model.loading` of each model that is not there yet. A listener of `service.projection`."""

    def __init__(self) -> None:
        self._newest: dict[str, Event] = {}

    @property
    def events(self) -> tuple[Event, ...]:
        """Those hints, in the order the models began to come."""
        return tuple(self._newest.values())

    @property
    def loading(self) -> tuple[ModelLoading, ...]:
        """What they say."""
        return tuple(event.body for event in self._newest.values() if isinstance(event.body, ModelLoading))

    def published(self, event: Event, _record: JobRecord | None) -> None:
        body = event.body
        if isinstance(body, ModelLoading):
            self._newest[body.model] = event
        elif isinstance(body, ModelLoaded | ModelUnloaded | ModelAdded | ModelFailed):
            self._newest.pop(body.model, None)
