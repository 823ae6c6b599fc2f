"""What a worker tells of itself while it lives, as it stands in the bucket `workers`."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import orjson

from engine.interface.engine import EngineStatus, ResidentModel
from protocol.models import ModelInfo

_PLAIN_BYTES: Final = 4096
_BRACE: Final = b"{"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPresence:
    """One worker at one moment.

    Attributes:
        id: of this run of the worker; another one after a restart.
        name: as `job.started` tells it.
        jobs: ids of the jobs that are live there.
        live_bytes, budget_bytes: of the engine, as `EngineState` has them.
        resident: the models in memory.
        models: all it could use.
        version: of the software.
        since: when it started, as a timestamp.
        is_draining: it takes no more work.
    """

    id: str
    name: str
    device: str
    status: EngineStatus
    detail: str = ""
    jobs: frozenset[str] = frozenset()
    live_bytes: int = 0
    budget_bytes: int = 0
    resident: Sequence[ResidentModel] = ()
    models: Sequence[ModelInfo] = ()
    version: str = ""
    since: str = ""
    is_draining: bool = False

    def encode(self) -> bytes:
        """As JSON; a long one compressed, since it is told again every few seconds."""
        body = orjson.dumps(
            {
                "id": self.id,
                "name": self.name,
                "device": self.device,
                "status": self.status,
                "detail": self.detail,
                "jobs": sorted(self.jobs),
                "live_bytes": self.live_bytes,
                "budget_bytes": self.budget_bytes,
                "resident": list(self.resident),
                "models": [model.model_dump(mode="json", exclude_defaults=True) for model in self.models],
                "version": self.version,
                "since": self.since,
                "is_draining": self.is_draining,
            }
        )
        return body if len(body) <= _PLAIN_BYTES else zlib.compress(body, 1)

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """
        Raises:
            ValueError: it is none, or one of another version that cannot be read.
        """
        try:
            body: dict[str, Any] = orjson.loads(value if value.startswith(_BRACE) else zlib.decompress(value))
            return cls(
                id=body["id"],
                name=body["name"],
                device=body["device"],
                status=EngineStatus(body["status"]),
                detail=body["detail"],
                jobs=frozenset(body["jobs"]),
                live_bytes=body["live_bytes"],
                budget_bytes=body["budget_bytes"],
                resident=tuple(ResidentModel(**model) for model in body["resident"]),
                models=tuple(ModelInfo.model_validate(model) for model in body["models"]),
                version=body["version"],
                since=body["since"],
                is_draining=body["is_draining"],
            )
        except (zlib.error, KeyError, TypeError) as error:
            raise ValueError(f"no worker's presence: {error!r}") from error

    def without_models(self) -> Self:
        return replace(self, models=())
