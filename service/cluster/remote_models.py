"""The models of a cluster, as its workers tell of them. At a gateway nothing is on the disk."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from protocol.errors import ErrorCode, ProtocolError
from protocol.models import ModelInfo, ModelKind
from protocol.named_models import NamedModel, named_models
from protocol.params import TaskParams
from service.cluster.presence import WorkerPresence

_CLOSE_NAMES: Final = 3
_ELSEWHERE: Final = "the models of a cluster are on its workers: put the file into their models folder"


class RemoteModels:
    """Implements `service.models.Shelf` and `service.model_check.Wanted`. Any thread may call anything.

    What was told last stays while there is no worker: they may have been scaled to none.
    """

    def __init__(self) -> None:
        self._models: Mapping[str, ModelInfo] = {}
        self._names: Mapping[str, ModelInfo] = {}

    def learn(self, workers: Collection[WorkerPresence]) -> None:
        """Take over what the workers have now."""
        if not workers:
            return
        models: dict[str, ModelInfo] = {}
        for worker in workers:
            for model in worker.models:
                known = models.get(model.id or model.name)
                if known is None or (model.is_present and not known.is_present):
                    models[model.id or model.name] = model
        # Of two that may be said the same way, the one that is there.
        by_presence = sorted(models.values(), key=lambda model: model.is_present)
        names = {name: model for model in by_presence for name in _names_of(model)}
        self._models, self._names = models, names

    def token_name(self, named: str) -> str | None:
        """The name the workers know a model by; None if none is known to have it, also where one could fetch it."""
        model = self._names.get(named.casefold())
        return model.name if model is not None and model.is_present else None

    # ---- service.models.Shelf --------------------------------------------------------------------------------

    def models(self, resident: Collection[str]) -> Sequence[ModelInfo]:
        return [
            model.model_copy(update={"is_loaded": (model.id or model.name) in resident or model.name in resident})
            for model in self._models.values()
        ]

    def sha256(self, model_id: str) -> str | None:
        model = self._models.get(model_id)
        return model.sha256 if model is not None else None

    def place(self, _kind: ModelKind, _file_name: str) -> Path | None:
        return None

    def problem(self, _part: Path, _kind: ModelKind, _file_name: str) -> str | None:
        return _ELSEWHERE

    def take_in(self, _path: Path, _sha256: str | None) -> str | None:
        return None

    # ---- service.model_check.Wanted --------------------------------------------------------------------------

    def check(self, params: TaskParams, at: str = "$") -> None:
        if not self._names:
            return  # no worker has told of any yet: whoever runs the job knows
        for wanted in named_models(params):
            if wanted.name is not None and not self.has(wanted):
                place = f"{at}.params.{wanted.place}"
                close = difflib.get_close_matches(wanted.name.casefold(), self._names, _CLOSE_NAMES)
                hint = (
                    f"; close to it: {', '.join(sorted({self._names[name].name for name in close}))}" if close else ""
                )
                message = f"{wanted.place}: no worker has a model {wanted.name!r:.80}{hint}, at {place}"
                raise ProtocolError(ErrorCode.MODEL_MISSING, message, place)

    def has(self, named: NamedModel) -> bool:
        return named.name is None or named.name.casefold() in self._names

    def look(self, asked_at: float) -> None:
        """The workers look."""


def _names_of(model: ModelInfo) -> set[str]:
    """All that may be said for a model, in lower case."""
    said = {model.name, model.id or model.name}
    if model.file is not None:
        path = PurePosixPath(model.file)
        said |= {model.file, path.name, path.stem, str(path.with_suffix(""))}
    return {name.casefold() for name in said}
