"""Every setting, read once: flags over environment over file over these defaults.

In a file they are YAML keys; in the environment they are `SAFELIGHT_` and the name in capitals. Units are in the
names. `docs/operations.md` explains each; a test holds the two together.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from engine.interface.engine import Offload
from protocol.validation import explain
from service.dialect_settings import DialectSettings
from service.listeners import Listen
from service.setting_values import Bytes, Count, EngineKind, LogFormat, Seconds, Synchronous
from service.storage import LONGEST_SIGNED_S, MinioSettings


class SettingsError(Exception):
    """A setting is wrong; the message names it, what is allowed, and where it was read from."""


class ApiSettings(BaseModel):
    """Keys given in the configuration, beside those made with `safelight keys`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[str, ...] = Field((), description="Plain keys that may do everything with their own jobs.")
    key_header: str = Field("X-API-Key", description="The header a key is sent in, beside Authorization: Bearer.")


class Settings(DialectSettings, BaseSettings):
    """The frozen settings of one server."""

    model_config = SettingsConfigDict(
        env_prefix="SAFELIGHT_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    # Where it listens and who may call
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8765, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    listen: Annotated[tuple[Listen, ...], NoDecode] = Field(
        (), description="Places to listen at instead: `[HOST:]PORT[=PROFILE]`, several with commas or as a list."
    )
    api: ApiSettings = Field(ApiSettings(), description="API keys and their header.")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Host names this server answers to, beside loopback ones and its own address; `*` for any."
    )
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins of web pages that may call, beside loopback ones; `*` for any."
    )
    allow_anonymous: bool = Field(False, description="Serve other machines although no API key is configured.")
    auth_timeout_s: Seconds = Field(10.0, description="Within this a socket without a key must send its auth message.")

    # Where things are kept, and how long
    data_dir: Path = Field(Path("safelight-data"), description="Database, uploads, inputs and outputs.")
    models_dir: Path = Field(
        Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "safelight" / "models",
        description="Model files; filled by `safelight models pull`.",
    )
    model_folders: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="Folders of ComfyUI, A1111, Fooocus, IOPaint or the Hugging Face cache, used in place."
    )
    default_model: str | None = Field(
        None, description="For requests that name none; else the first found, else spark."
    )
    allow_model_downloads: bool = Field(
        True, description="Model files are downloaded: for keys with models:write, and erase models for jobs."
    )
    allow_noncommercial_models: bool = Field(
        False, description="Use erase models whose licence forbids commercial use, or is not known."
    )
    max_model_bytes: Bytes = Field(64 << 30, description="One model file that is downloaded.")
    synchronous: Synchronous = Field(Synchronous.NORMAL, description="normal survives a crash, full also a power loss.")
    job_ttl_s: Seconds = Field(7 * 86_400.0, description="An ended job, its inputs and outputs are kept this long.")
    upload_ttl_s: Seconds = Field(86_400.0, description="An upload is kept this long.")
    idempotency_ttl_s: Seconds = Field(86_400.0, description="A repeated Idempotency-Key is recognised this long.")
    expiry_interval_s: Seconds = Field(60.0, description="How often expired things are looked for.")

    # Where outputs are copied to
    storage_url: str | None = Field(
        None, description="Outputs are copied there: s3://BUCKET[/PREFIX], or file:///FOLDER; see also minio."
    )
    storage_endpoint: str | None = Field(
        None, pattern=r"^https?://", description="URL of an S3 that is not Amazon's, such as MinIO."
    )
    storage_region: str = Field("us-east-1", description="Of the bucket.")
    storage_access_key: str | None = Field(
        None, repr=False, description="Of the bucket; by default as Amazon's own programs find it (AWS_*)."
    )
    storage_secret_key: str | None = Field(None, repr=False, description="Belongs to storage_access_key.")
    storage_public_url: str | None = Field(
        None, pattern=r"^https?://", description="Begins the URLs of copies; by default endpoint and bucket."
    )
    storage_signed_url_s: float | None = Field(
        None, ge=1, le=LONGEST_SIGNED_S, description="URLs of copies are signed and hold this long; else unsigned."
    )
    storage_timeout_s: Seconds = Field(20.0, description="To copy one output, with all tries; then without a copy.")
    storage_dialects: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Only outputs of these dialects are copied; by default all, with minio those of sd_api."
    )
    minio: MinioSettings | None = Field(
        None, description="endpoint, access_key, secret_key, bucket, secure, region, public_url: in place of storage_*."
    )

    # Many machines: gateways and workers
    nats_url: str | None = Field(
        None,
        pattern=r"^(nats|tls)://",
        description="The servers that join gateways and workers, several with commas: nats://HOST:PORT.",
    )
    nats_credentials: Path | None = Field(None, description="A .creds file for those servers.")
    nats_replicas: int = Field(1, ge=1, le=5, description="How many of those servers keep each stream.")
    cluster: str = Field(
        "safelight", pattern=r"^[a-z][a-z0-9_-]{0,31}$", description="Begins the names of its streams and subjects."
    )
    worker_lost_s: float = Field(
        30.0, ge=1, le=3600, description="A worker that is not heard of for this long has lost its jobs to others."
    )
    drain_s: float = Field(
        0.0, ge=0, description="A worker told to stop finishes its jobs for so long; then it hands them back."
    )
    objects_url: str | None = Field(
        None, description="Where a cluster keeps inputs and outputs: s3://BUCKET[/PREFIX], or file:///FOLDER."
    )
    objects_endpoint: str | None = Field(
        None, pattern=r"^https?://", description="URL of an S3 that is not Amazon's, for objects_url."
    )
    objects_region: str = Field("us-east-1", description="Of the bucket of objects_url.")
    objects_access_key: str | None = Field(
        None,
        repr=False,
        description="Of the bucket of objects_url; by default as Amazon's own programs find it (AWS_*).",
    )
    objects_secret_key: str | None = Field(None, repr=False, description="Belongs to objects_access_key.")
    objects_timeout_s: Seconds = Field(30.0, description="To store or fetch one input or output, with all tries.")
    objects_cache_bytes: Bytes = Field(
        10 << 30, description="Pictures of a cluster that a gateway or worker keeps on its own disk."
    )
    snapshot_after: Count = Field(
        100_000, description="After so many new facts a gateway puts a snapshot of its database beside the pictures."
    )

    # The engine
    engine: EngineKind = Field(EngineKind.TORCH, description="torch, or fake: the same protocol without any model.")
    worker: str = Field("local", min_length=1, max_length=64, description="Name told in job.started.")
    device: str | None = Field(
        None, pattern=r"^(cpu|cuda(:\d+)?)$", description="cpu, cuda or cuda:N; by default CUDA where there is one."
    )
    cpu_threads: Count | None = Field(
        None, description="Cores for calculations on the CPU; by default all, at most 16."
    )
    memory_budget_bytes: Bytes | None = Field(
        None, description="Live jobs together; by default half of the free device memory or RAM."
    )
    model_budget_bytes: Bytes | None = Field(
        None, description="Weights on the device together; by default 40 % of the RAM, or 60 % of a GPU's memory."
    )
    offload: Offload = Field(
        Offload.AUTO,
        description="Diffusion models that do not fit a GPU: never, model (a network at a time), layers, or auto.",
    )
    model_idle_s: Seconds | None = Field(
        None, description="A model nobody used for this long leaves memory; by default when others need the room."
    )
    max_live_jobs: Count = Field(8, description="Live jobs of each class, interactive and batch.")
    pool_threads: Count = Field(2, description="Threads beside the device's, for files, OCR and fills.")
    call_deadline_s: Seconds = Field(600.0, description="A step that takes longer fails its job.")
    preview_interval_s: Seconds = Field(0.25, description="The least time between two throttled previews of a job.")
    fake_step_s: float = Field(0.0, ge=0, description="How long a step of the fake engine takes.")

    # Limits
    max_queued_jobs: Count = Field(200_000, description="Jobs that may wait; then 429.")
    max_queued_jobs_per_key: Count = Field(200_000, description="Jobs of one key that may wait; then 429.")
    max_attempts: Count = Field(5, description="A job whose attempts all ended with the server is failed.")
    max_body_bytes: Bytes = Field(64 << 20, description="A request body, and a message on a socket.")
    max_upload_bytes: Bytes = Field(256 << 20, description="One upload.")
    max_pixels: Count = Field(100_000_000, description="A picture's width times height, checked before decoding.")
    max_wait_s: Seconds = Field(60.0, description="The longest a request may wait for a job.")
    event_buffer: int = Field(
        1024,
        ge=1024,  # a replay comes in pages of 500, and a job may have hundreds of facts: they must fit
        description="Facts a slow subscriber may be behind before it is cut off.",
    )
    socket_soft_bytes: int = Field(
        256 << 10,
        ge=64 << 10,  # asyncio tells of new room only to those who had more than this unsent
        description="Above this much unsent, a socket gets no hints.",
    )
    socket_hard_bytes: Bytes = Field(8 << 20, description="Above this much unsent, a socket is closed with 4408.")
    heartbeat_s: Seconds = Field(15.0, description="A quiet SSE stream or socket gets a ping this often.")

    # Input pictures by URL
    allow_private_urls: bool = Field(False, description="Fetch from loopback, private and link-local addresses too.")
    fetch_ports: Annotated[tuple[int, ...], NoDecode] = Field(
        (80, 443), description="Ports a picture may be fetched from."
    )
    fetch_timeout_s: Seconds = Field(20.0, description="For one fetch, redirects included.")
    fetch_max_redirects: int = Field(3, ge=0, le=20, description="Redirects followed; each is checked like the first.")

    # Webhooks
    webhook_secret: str | None = Field(
        None, description="Signs webhooks (whsec_...); made at the first start if missing."
    )
    webhook_timeout_s: Seconds = Field(15.0, description="For one attempt to deliver.")
    webhook_max_attempts: Count = Field(12, description="Attempts to deliver before a webhook is given up.")

    # Stopping and telling
    shutdown_timeout_s: Seconds = Field(10.0, description="Running steps may take this long when the server stops.")
    reconnect_to: str | None = Field(None, description="Told to viewers in server.draining.")
    log_format: LogFormat = Field(LogFormat.CONSOLE, description="console or json.")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error.")

    @field_validator(
        "allowed_hosts",
        "allowed_origins",
        "fetch_ports",
        "model_folders",
        "iopaint_plugins",
        "storage_dialects",
        mode="before",
    )
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("listen", mode="before")
    @classmethod
    def _read_places(cls, value: object) -> object:
        given = [value] if isinstance(value, str | int) else value
        if not isinstance(given, list | tuple):
            return value
        parts = [part for item in given for part in (item.split(",") if isinstance(item, str) else [item])]
        return tuple(
            Listen.parse(str(part)) if isinstance(part, str | int) and not isinstance(part, bool) else part
            for part in parts
            if part != ""
        )

    @property
    def places(self) -> tuple[Listen, ...]:
        """Where to listen, each with its host and port."""
        return tuple(
            replace(
                place,
                host=self.host if place.host is None else place.host,
                port=self.port if place.port is None else place.port,
            )
            for place in self.listen or (Listen(None),)
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by name
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        given = dict(init_settings.init_kwargs) if isinstance(init_settings, InitSettingsSource) else {}
        file, foreign = given.pop("_file", {}), given.pop("_foreign", {})
        return (
            InitSettingsSource(settings_cls, init_kwargs=given),
            env_settings,
            InitSettingsSource(settings_cls, init_kwargs=foreign),
            InitSettingsSource(settings_cls, init_kwargs=file),
        )


def load(
    config_file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    foreign: Mapping[str, Any] | None = None,
) -> Settings:
    """Read the settings: `overrides` (flags), the environment, `foreign`, the file, then the defaults.

    Args:
        foreign: what the variables of another service say, as settings of ours; see `service.foreign_environment`.

    Raises:
        SettingsError: the file cannot be read, or a value is wrong.
    """
    file: dict[str, Any] = {}
    if config_file is not None:
        try:
            file = yaml.safe_load(config_file.read_text("utf-8")) or {}
        except (OSError, yaml.YAMLError) as error:
            raise SettingsError(f"{config_file}: cannot be read: {error}") from None
        if not isinstance(file, dict):
            raise SettingsError(f"{config_file}: expected a mapping of settings, got {type(file).__name__}")
    try:
        return Settings(_file=file, _foreign=dict(foreign or {}), **(overrides or {}))  # type: ignore[call-arg] # taken out again by the sources above
    except ValidationError as error:
        raise SettingsError(explain(error, at="settings", kind=Settings).message) from None
