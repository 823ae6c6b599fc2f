"""What a server tells of itself: what it is, what it has in memory, what waits, and how much it takes."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from protocol.requests import TaskName


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class KeyInfo(_Part):
    """The key of whoever asks."""

    is_needed: bool = Field(description="False: this server has no keys, and serves its own machine.")
    scopes: tuple[str, ...] = Field(description="What it may do.")


class EngineInfo(_Part):
    """What the work is done with."""

    status: str = Field(description="`loading`, `ready`, `stuck`, `failed` or `stopped`.")
    device: str = Field(description="`cpu`, `cuda:0`, ...; `none` before it is found.")
    detail: str | None = Field(None, description="Why it cannot work, if it cannot.")


class MemoryInfo(_Part):
    """What is taken, and what may be."""

    models_bytes: int = Field(ge=0, description="Weights on the device.")
    models_budget_bytes: int = Field(ge=0, description="For all of them; 0 before the device is found.")
    home_bytes: int = Field(ge=0, description="Weights in the machine's memory that come to a GPU for their calls.")
    jobs_bytes: int = Field(ge=0, description="What running jobs are expected to take, beside the weights.")
    jobs_budget_bytes: int = Field(ge=0, description="For all of them together.")


class LoadedModel(_Part):
    """A model in memory."""

    id: str = Field(description="As `/v1/models` lists it.")
    size_bytes: int = Field(ge=0, description="On the device.")
    home_bytes: int = Field(ge=0, description="In the machine's memory, for a GPU.")


class LoadingModel(_Part):
    """A model on its way, as the last `model.loading` told."""

    id: str
    phase: str = Field(description="`download`, `check`, `read` or `device`.")
    done: int = Field(ge=0)
    total: int | None = Field(None, ge=0, description="Bytes of this phase, where they are known.")


class JobCounts(_Part):
    """The jobs of all keys that have not ended."""

    running: int = Field(ge=0)
    waiting: Mapping[str, int] = Field(description="By class: `interactive` and `batch`.")


class Limits(_Part):
    """What one request may ask for."""

    max_pixels: int
    max_upload_bytes: int
    max_body_bytes: int
    max_model_bytes: int
    max_wait_s: float
    max_queued_jobs: int
    max_queued_jobs_per_key: int
    job_ttl_s: float = Field(description="How long an ended job is kept.")
    upload_ttl_s: float


class ServerInfo(_Part):
    """A server, at this moment."""

    version: str
    protocol: int
    started_at: str
    key: KeyInfo
    engine: EngineInfo
    memory: MemoryInfo
    loaded: tuple[LoadedModel, ...]
    loading: tuple[LoadingModel, ...]
    jobs: JobCounts
    tasks: tuple[TaskName, ...]
    limits: Limits
    allows_downloads: bool = Field(description="Model files can be downloaded, by keys with `models:write`.")
