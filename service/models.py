"""The models of one server: which there are, which are in memory, which are on their way."""

import difflib
from collections.abc import Collection, Sequence
from typing import Final, Protocol

import anyio
import anyio.to_thread

from engine.interface.engine import Engine
from protocol.errors import ErrorCode, ProtocolError
from protocol.models import ModelDownload, ModelInfo, ModelKind, ModelList
from protocol.requests import TaskName
from service.downloads import Destination, Downloads

_UNLOAD_REASON: Final = "asked by a client"
_SHOWN_NAMES: Final = 3


class Shelf(Destination, Protocol):
    """What lies on the disk. Every method may block; any thread may call any."""

    def models(self, resident: Collection[str]) -> Sequence[ModelInfo]:
        """All models. Looks at the disk.

        Args:
            resident: what is in memory; see `Engine.resident_models`.
        """
        ...

    def sha256(self, model_id: str) -> str | None:
        """The hash of a model; None if it has none. Reads all of it the first time.

        Raises:
            OSError: it cannot be read.
        """
        ...


class Models:
    """See the module. For the event loop."""

    def __init__(self, shelf: Shelf, engine: Engine, downloads: Downloads) -> None:
        self._shelf = shelf
        self._engine = engine
        self._downloads = downloads
        # One look at a time: a second one would wait for the first in any case, on a thread that others need.
        self._looking = anyio.CapacityLimiter(1)
        self._hashing = anyio.CapacityLimiter(1)

    async def list(self, *, kind: ModelKind | None = None, task: TaskName | None = None) -> ModelList:
        """Every model, or those of one kind, or for one task. Looks at the disk: new files are seen."""
        models = await self._look()
        return ModelList(
            models=tuple(
                model
                for model in models
                if (kind is None or model.kind is kind) and (task is None or task in model.tasks)
            )
        )

    async def find(self, name: str) -> ModelInfo:
        """A model by its id or by its name. Where several kinds share a name, it means the checkpoint.

        Raises:
            ProtocolError: `not_found`, with the names that are close; `invalid_params`: several kinds share the name.
        """
        models = await self._look()
        meant = _meant(models, name)
        if meant is not None:
            return meant
        close = difflib.get_close_matches(name, {model.name for model in models}, _SHOWN_NAMES)
        hint = f"; close to it: {', '.join(map(repr, close))}" if close else ""
        raise ProtocolError(ErrorCode.NOT_FOUND, f"model: there is no {name!r:.80}{hint}")

    async def loadable(self, name: str) -> ModelInfo:
        """A checkpoint that is there.

        Raises:
            ProtocolError: as `find`; `invalid_params`: it is none, or cannot be used.
        """
        model = await self.find(name)
        if model.kind is not ModelKind.CHECKPOINT:
            what = "a packaged model" if model.kind is None else f"of the kind {model.kind}"
            message = f"model: {model.name!r} is {what}: it is loaded by the first job that needs it"
            raise ProtocolError(ErrorCode.INVALID_PARAMS, message)
        if not model.is_present:
            raise ProtocolError(ErrorCode.NOT_FOUND, f"model: {model.name!r} is not there yet")
        if model.problem is not None:
            raise ProtocolError(ErrorCode.INVALID_PARAMS, f"model: {model.name!r} cannot be used: {model.problem}")
        return model

    async def unload(self, name: str) -> ModelInfo:
        """Ask that a model leave memory; `model.unloaded` tells when it has.

        Returns:
            The model as it is now.

        Raises:
            ProtocolError: as `find`.
        """
        model = await self.find(name)
        self._engine.unload_model(model.id or model.name, _UNLOAD_REASON)
        return model

    async def download(self, request: ModelDownload) -> ModelInfo:
        """Begin a download, or find it under way.

        Raises:
            ProtocolError: see `Downloads.start`.
        """
        there = await self._look()
        return self._downloads.start(request, {model.id for model in there if model.id and model.is_present})

    async def cancel_download(self, name: str, *, discards: bool) -> ModelInfo:
        """End a download, named as the model it is to become.

        Args:
            discards: see `Downloads.cancel`.

        Raises:
            ProtocolError: as `find`; `already_ended`: the model is there.
        """
        coming = _meant(self._downloads.infos(), name)
        if coming is None:
            model = await self.find(name)
            raise ProtocolError(ErrorCode.ALREADY_ENDED, f"model: {model.name!r} is not on its way")
        return await self._downloads.cancel(str(coming.id), discards=discards)

    async def hashed(self, name: str) -> ModelInfo:
        """A model with its hash; if it is not known, all of the file is read. One file at a time.

        Raises:
            ProtocolError: as `find`; `invalid_params`: it is packaged, or cannot be read.
        """
        model = await self.find(name)
        if model.sha256 is not None:
            return model
        sha256 = None
        if model.id is not None and model.is_present:
            try:
                sha256 = await anyio.to_thread.run_sync(self._shelf.sha256, model.id, limiter=self._hashing)
            except OSError as error:
                message = f"model: {model.name!r} cannot be read: {error.strerror or type(error).__name__}"
                raise ProtocolError(ErrorCode.INVALID_PARAMS, message) from None
        if sha256 is None:
            raise ProtocolError(ErrorCode.INVALID_PARAMS, f"model: {model.name!r} has no hash of its own")
        return model.model_copy(update={"sha256": sha256})

    async def _look(self) -> Sequence[ModelInfo]:
        resident = frozenset(self._engine.resident_models())
        there = await anyio.to_thread.run_sync(self._shelf.models, resident, limiter=self._looking)
        ids = {model.id for model in there if model.is_present}
        return [*there, *(info for info in self._downloads.infos() if info.id not in ids)]


def _meant(models: Sequence[ModelInfo], name: str) -> ModelInfo | None:
    """The one of these that `name` means; None if nothing has that name.

    Raises:
        ProtocolError: `invalid_params`: several kinds share the name, and none of them is a checkpoint.
    """
    for model in models:
        if model.id == name:
            return model
    named = [model for model in models if model.name == name]
    meant = [model for model in named if model.kind is ModelKind.CHECKPOINT] or named
    if len(meant) > 1:
        ids = ", ".join(str(model.id) for model in meant)
        raise ProtocolError(ErrorCode.INVALID_PARAMS, f"model: {name!r:.80} means several: name one of {ids}")
    return meant[0] if meant else None
