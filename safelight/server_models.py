"""The models of a server in the hands of a client: look, load, unload, download."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from pydantic import ValidationError

from protocol.errors import ErrorCode
from protocol.events import ModelAdded, ModelFailed, ModelLoading
from protocol.ids import new_id
from protocol.models import Arrived, ModelDownloadState, ModelInfo, ModelKind, ModelList
from protocol.requests import TaskName
from safelight.errors import DownloadFailed, RequestRefused, UnexpectedAnswer
from safelight.rest import Rest
from safelight.server_feed import ServerFeed

Progress: TypeAlias = Callable[[ModelDownloadState], None]
Begun: TypeAlias = Callable[[ModelInfo], None]
LOOK_AGAIN_S: Final = 5.0
"""After so long without news of a download it is looked at: hints may have been lost with a connection."""
WITHOUT_NEWS_S: Final = 1.0
"""The same, where no events come at all."""
_FORGOTTEN: Final = "it was cancelled, and what had arrived discarded; or the server was started anew"


class ServerModels:
    """Calls `/v1/models`."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def list(self, kind: str | ModelKind | None, task: str | TaskName | None) -> list[ModelInfo]:
        params = {name: str(value) for name, value in (("kind", kind), ("task", task)) if value is not None}
        answer = await self._rest.json("GET", "/v1/models", params=params)
        try:
            return list(ModelList.model_validate(answer).models)
        except ValidationError as error:
            raise UnexpectedAnswer(f"the server sent a list of models that cannot be read: {error}") from None

    async def get(self, name: str) -> ModelInfo:
        return _read(await self._rest.json("GET", _path(name)))

    async def load(self, name: str, idempotency_key: str | None) -> Any:
        """The job that loads it, as it came."""
        headers = {"Idempotency-Key": idempotency_key or new_id()}
        return await self._rest.json("POST", f"{_path(name)}/load", headers=headers)

    async def unload(self, name: str) -> ModelInfo:
        return _read(await self._rest.json("POST", f"{_path(name)}/unload"))

    async def hash(self, name: str) -> ModelInfo:
        return _read(await self._rest.json("POST", f"{_path(name)}/hash"))

    async def cancel_download(self, name: str, arrived: Arrived) -> ModelInfo:
        return _read(await self._rest.json("DELETE", f"{_path(name)}/download", params={"arrived": arrived.value}))

    async def download(
        self, wanted: Mapping[str, str], news: ServerFeed | None, on_begun: Begun, on_progress: Progress
    ) -> ModelInfo:
        """Have a file downloaded, and wait until it is there.

        Args:
            news: of the server; None where none can be had.
            on_begun: told what it will be, once the server has agreed.

        Raises:
            DownloadFailed, RequestRefused, ServerUnreachable, ConnectionLost.
        """
        model = _read(await self._rest.json("POST", "/v1/models", value=dict(wanted)))
        model_id = model.id or model.name
        on_begun(model)
        while not model.is_present:
            if model.download is not None:
                on_progress(model.download)
                if model.download.problem is not None:
                    raise DownloadFailed(model_id, model.download.problem)
            reason = await _wait_for_end(model_id, news, on_progress)
            try:
                model = await self.get(model_id)
            except RequestRefused as refusal:
                if refusal.code != ErrorCode.NOT_FOUND:
                    raise
                raise DownloadFailed(model_id, reason or _FORGOTTEN) from None
        return model


async def _wait_for_end(model_id: str, news: ServerFeed | None, on_progress: Progress) -> str | None:
    """Until the download has ended, or nothing was heard of it for a while.

    Returns:
        Why one of that name came to nothing, if that was told.
    """
    if news is None:
        await asyncio.sleep(WITHOUT_NEWS_S)
        return None
    while True:
        try:
            async with asyncio.timeout(LOOK_AGAIN_S):
                event = await anext(news)
        except TimeoutError:
            return None
        match event.body:
            case ModelLoading(model=told, phase="download", done=done, total=total) if told == model_id:
                on_progress(ModelDownloadState(done_bytes=done, total_bytes=total))
            case ModelAdded(model=told) if told == model_id:
                return None
            case ModelFailed(model=told, reason=reason) if told == model_id:
                return reason


def _path(name: str) -> str:
    return f"/v1/models/{quote(name, safe='/:')}"


def _read(fields: object) -> ModelInfo:
    try:
        return ModelInfo.model_validate(fields)
    except ValidationError as error:
        raise UnexpectedAnswer(f"the server sent a model that cannot be read: {error}") from None
