"""Everything a server is made of, put together; the one place that chooses an engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from engine.backend import Backend
from engine.executor import Executor, ExecutorOptions
from engine.fake_memory import FAKE_MODEL
from engine.inpainting.listing import listed
from engine.inpainting.weights import Weights
from engine.interface.downloads import Downloader
from engine.interface.engine import Engine
from engine.lazy_backend import LazyBackend
from engine.library import fooocus
from engine.library.library import Library, own_root
from engine.library.roots import make_library
from engine.models.shelf import Shelf as ModelShelf
from engine.models.shelf import packaged
from engine.models.wanted import WantedModels
from engine.plugins.files import PluginFiles
from engine.prompting.expand import Wordsmith, make_wordsmith
from protocol.models import ModelInfo
from service.admission import Admission
from service.auth import KeyRecord, KeyRing, Load
from service.bridge import Announcer
from service.broker import FactLog, Taker
from service.bus import Bus
from service.clock import timestamp
from service.copies import Copies
from service.dispatcher import Dispatcher
from service.downloads import Downloads
from service.expiry import Expiry
from service.feeds import Feeds
from service.fetch import Fetcher
from service.files import Files
from service.inputs import Inputs
from service.jobs import JobManager
from service.ledger import Ledger
from service.local_broker import LocalBroker
from service.metrics import Gauges, Metrics
from service.model_check import ModelCheck
from service.model_loads import ModelLoads
from service.models import Models, Shelf
from service.object_store import ObjectStore
from service.outlet import BufferedOutlet
from service.presets.book import PresetBook
from service.presets.layer import Presets
from service.projection import Projection
from service.pump import Pump
from service.queue_view import QueueView
from service.removal import Removal
from service.role import Role
from service.setting_values import EngineKind, Synchronous
from service.settings import Settings, SettingsError
from service.standalone import Standalone
from service.storage import BadPlace, StoragePlace
from service.store import Store
from service.styles import Styles
from service.submissions import Submissions
from service.thumbnails import Thumbnails
from service.uploads import StoredUploads, Uploads
from service.wanted_files import WantedFiles
from service.webhooks import Webhooks
from service.workbench import Workbench


class Socket(Protocol):
    """An open WebSocket, as far as the rest of the server is concerned."""

    def __len__(self) -> int:
        """Events that wait to be written."""
        ...

    async def check_key(self) -> None:
        """Close it if its key has been revoked."""
        ...

    async def close(self, code: int, reason: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of one server."""

    settings: Settings
    keys: KeyRing
    store: Store
    files: Files
    uploads: Uploads
    ledger: Ledger
    bus: Bus
    projection: Projection
    log: FactLog
    broker: Taker
    admission: Admission
    queue: QueueView
    feeds: Feeds
    inputs: Inputs
    fetcher: Fetcher
    submissions: Submissions
    jobs: JobManager
    engine: Engine
    announcer: Announcer
    thumbnails: Thumbnails
    removal: Removal
    expiry: Expiry
    webhooks: Webhooks
    metrics: Metrics
    models: Models
    model_loads: ModelLoads
    styles: Styles
    presets: Presets
    downloads: Downloads
    role: Role
    sockets: set[Socket] = field(default_factory=set)
    """Open WebSockets."""
    started_at: str = field(default_factory=timestamp)
    outlets: set[BufferedOutlet] = field(default_factory=set)
    """Of open event streams and long polls."""


def wire(settings: Settings) -> Services:
    """Put a server together. Nothing runs yet, and nothing is opened.

    Raises:
        SettingsError: some setting cannot be, beside what the others say.
    """
    place = _storage_place(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    metrics = Metrics()
    store = Store(settings.data_dir, settings.synchronous)
    files = Files(settings.data_dir, survives_power_loss=settings.synchronous is Synchronous.FULL)
    ledger, bus, admission = Ledger(), Bus(), Admission()
    projection = Projection(ledger, bus, job_ttl_s=settings.job_ttl_s)
    pump = Pump(ledger, store, bus, projection)
    broker = LocalBroker(admission, ledger, store, pump)
    queue = QueueView(admission, ledger, bus, pump)
    copies = Copies(broker, store, files, place=place, storing=ObjectStore(place) if place is not None else None)
    announcer = Announcer()
    library = _library(settings)
    shelf = _shelf(settings, library)
    wordsmith = make_wordsmith(settings.models_dir, settings.model_folders)
    styles = Styles(wordsmith.styles)
    wanted_files = WantedFiles(settings, announcer)
    engine = _engine(settings, library, wordsmith, announcer, wanted_files)
    broker.on_cancel, broker.on_skip, queue.on_change = engine.cancel, engine.skip, broker.wake
    workbench = Workbench(
        broker,
        engine,
        files,
        dispatcher=Dispatcher(broker, files, engine),
        copies=copies,
        announcer=announcer,
        wanted_files=wanted_files,
    )
    downloads = Downloads(settings, shelf, announcer)
    model_loads = ModelLoads()
    feeds = Feeds(ledger, store, bus, pump, broker, model_loads)
    fetcher = Fetcher(settings)
    uploads = StoredUploads(store, files)
    inputs = Inputs(settings, files, store, uploads, fetcher)
    model_check = ModelCheck(_wanted(settings, library))
    presets = Presets(PresetBook(_preset_folders(settings)), model_check)
    submissions = Submissions(
        settings,
        store=store,
        broker=broker,
        admission=admission,
        inputs=inputs,
        models=model_check,
        styles=styles,
        presets=presets,
    )
    jobs = JobManager(
        settings,
        ledger=ledger,
        store=store,
        broker=broker,
        feeds=feeds,
        admission=admission,
    )
    thumbnails = Thumbnails()
    removal = Removal(store, files, thumbnails, ledger, pump, projection, jobs)
    services = Services(
        settings=settings,
        keys=KeyRing(settings.api.keys, _load_keys(store)),
        store=store,
        files=files,
        uploads=uploads,
        ledger=ledger,
        bus=bus,
        projection=projection,
        log=pump,
        broker=broker,
        admission=admission,
        queue=queue,
        feeds=feeds,
        inputs=inputs,
        fetcher=fetcher,
        submissions=submissions,
        jobs=jobs,
        engine=engine,
        announcer=announcer,
        thumbnails=thumbnails,
        removal=removal,
        expiry=Expiry(settings, store, uploads, removal),
        webhooks=Webhooks(settings, store),
        metrics=metrics,
        models=Models(shelf, engine, downloads),
        model_loads=model_loads,
        styles=styles,
        presets=presets,
        downloads=downloads,
        role=Standalone(
            workbench,
            pump,
            store=store,
            files=files,
            ledger=ledger,
            submissions=submissions,
            queue=queue,
            max_attempts=settings.max_attempts,
        ),
    )
    projection.listeners += [queue, services.webhooks, metrics, model_loads]
    projection.on_commit = metrics.observe_commit
    services.webhooks.on_result = metrics.observe_webhook
    copies.on_result = metrics.observe_copy
    metrics.watch(
        Gauges(
            queued=admission.counts,
            engine=engine.state,
            subscribers=bus.subscriber_count,
            sockets=lambda: len(services.sockets),
            deepest_buffer=lambda: max([0, *map(len, services.outlets), *map(len, services.sockets)]),
        )
    )
    return services


def _engine(
    settings: Settings, library: Library, wordsmith: Wordsmith, announcer: Announcer, downloader: Downloader
) -> Engine:
    options = ExecutorOptions(
        worker=settings.worker,
        budget_bytes=settings.memory_budget_bytes,
        max_live_jobs=settings.max_live_jobs,
        pool_threads=settings.pool_threads,
        call_deadline_s=settings.call_deadline_s,
        preview_interval_s=settings.preview_interval_s,
        model_idle_s=settings.model_idle_s,
    )
    return Executor(LazyBackend(partial(_backend, settings, library, wordsmith, announcer, downloader)), options)


def _backend(
    settings: Settings, library: Library, wordsmith: Wordsmith, announcer: Announcer, downloader: Downloader
) -> Backend:
    # On the executor thread, and imported here: both need libraries that take long to import.
    if settings.engine is EngineKind.FAKE:
        from engine.fake import FakeBackend

        return FakeBackend(step_s=settings.fake_step_s, tell=announcer, wordsmith=wordsmith)
    from engine.torch_backend import TorchBackend

    return TorchBackend(
        settings.models_dir,
        announcer,
        library=library,
        default_model=settings.default_model,
        model_budget_bytes=settings.model_budget_bytes,
        offload=settings.offload,
        device=settings.device,
        threads=settings.cpu_threads,
        erase_weights=_weights(settings),
        downloader=downloader,
        wordsmith=wordsmith,
    )


def _library(settings: Settings) -> Library:
    if settings.engine is EngineKind.FAKE:
        return Library((own_root(settings.models_dir),))
    return make_library(settings.models_dir, settings.model_folders)


def _shelf(settings: Settings, library: Library) -> Shelf:
    def others() -> Sequence[ModelInfo]:
        if settings.engine is EngineKind.FAKE:
            return [FAKE_MODEL]
        return [*packaged(settings.models_dir), *listed(_weights(settings)), *_plugins(settings).listed()]

    return ModelShelf(library, settings.models_dir, default_model=settings.default_model, others=others)


def _weights(settings: Settings) -> Weights:
    return Weights(
        models_dir=settings.models_dir,
        folders=tuple(folder.expanduser() for folder in settings.model_folders),
        allows_noncommercial=settings.allow_noncommercial_models,
    )


def _plugins(settings: Settings) -> PluginFiles:
    weights = _weights(settings)
    return PluginFiles(
        models_dir=weights.models_dir, folders=weights.folders, allows_noncommercial=weights.allows_noncommercial
    )


def _wanted(settings: Settings, library: Library) -> WantedModels | None:
    # The fake engine makes pictures whatever model is named.
    return None if settings.engine is EngineKind.FAKE else WantedModels(library, settings.default_model)


def _storage_place(settings: Settings) -> StoragePlace | None:
    try:
        return StoragePlace.of(settings)
    except BadPlace as error:
        raise SettingsError(str(error)) from None


def _preset_folders(settings: Settings) -> Sequence[Path]:
    folders = (settings.models_dir, *(folder.expanduser() for folder in settings.model_folders))
    return [place / "presets" for place in (settings.models_dir, *fooocus.homes(folders))]


def _load_keys(store: Store) -> Load:
    async def load() -> list[KeyRecord]:
        return [KeyRecord.from_row(row) for row in await store.keys()]

    return load
