"""Everything a server is made of, put together; the one place that chooses an engine."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Protocol

from engine.interface.engine import Engine
from engine.library import fooocus
from engine.prompting.expand import make_wordsmith
from service.admission import Admission
from service.auth import KeyRecord, KeyRing, Load
from service.bridge import Announcer
from service.broker import FactLog, Taker
from service.bus import Bus
from service.clock import timestamp
from service.copies import Copies
from service.dispatcher import Dispatcher
from service.downloads import Downloads
from service.engine_wiring import make_engine, make_library_of, make_shelf, make_wanted
from service.expiry import Expiry
from service.feeds import Feeds
from service.fetch import Fetcher
from service.files import Files
from service.inputs import Inputs
from service.jobs import JobManager
from service.ledger import Ledger
from service.local_broker import LocalBroker
from service.metrics import Gauges, Metrics
from service.model_check import ModelCheck, Wanted
from service.model_loads import ModelLoads
from service.models import Models, Shelf
from service.object_store import ObjectStore
from service.outlet import BufferedOutlet
from service.places import Places
from service.presets.book import PresetBook
from service.presets.layer import Presets
from service.projection import Projection
from service.pump import Pump
from service.queue_view import QueueView
from service.removal import Removal, Removing
from service.role import Role
from service.setting_values import Synchronous
from service.settings import Settings, SettingsError
from service.standalone import Standalone
from service.storage import BadPlace, StoragePlace
from service.store import Store
from service.styles import Styles
from service.submissions import Submissions
from service.thumbnails import Thumbnails
from service.uploads import StoredUploads, Uploads
from service.wanted_files import WantedFiles
from service.webhooks import Outbox, Webhooks
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a server that is everything in one, and a gateway, have each of its own kind."""

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
    arrivals: Iterator[int]
    engine: Engine
    announcer: Announcer
    shelf: Shelf
    wanted: Wanted | None
    load_keys: Load
    role: Role
    outbox: Outbox
    removing: Removing | None = None
    """Takes jobs away in a cluster; None for jobs of this server alone."""
    is_in_charge: Callable[[], bool] = lambda: True
    """Whether this server removes what has expired."""
    metrics: Metrics
    rows: Callable[[], Mapping[tuple[str, str], int]] = dict
    """See `service.metrics.Gauges`."""


def wire(settings: Settings) -> Services:
    """Put a server together that is everything in one process. Nothing runs yet, and nothing is opened.

    Raises:
        SettingsError: some setting cannot be, beside what the others say.
    """
    place = storage_place(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    metrics = Metrics()
    store = Store(settings.data_dir, settings.synchronous)
    files = Files(settings.data_dir, survives_power_loss=settings.synchronous is Synchronous.FULL)
    ledger, bus, admission, arrivals = Ledger(), Bus(), Admission(), count(1)
    projection = Projection(ledger, bus, job_ttl_s=settings.job_ttl_s)
    pump = Pump(ledger, store, bus, projection)
    broker = LocalBroker(admission, ledger, store, pump, idempotency_ttl_s=settings.idempotency_ttl_s)
    queue = QueueView(admission, ledger, bus, pump)
    copies = Copies(broker, store.labels, files, place=place, storing=ObjectStore(place) if place is not None else None)
    copies.on_result = metrics.observe_copy
    announcer = Announcer()
    library = make_library_of(settings)
    wanted_files = WantedFiles(settings, announcer)
    wordsmith = make_wordsmith(settings.models_dir, settings.model_folders)
    engine = make_engine(settings, library, wordsmith, announcer, wanted_files)
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
    role = Standalone(
        workbench,
        pump,
        store=store,
        files=files,
        ledger=ledger,
        arrivals=arrivals,
        queue=queue,
        max_attempts=settings.max_attempts,
    )
    return assemble(
        settings,
        Parts(
            store=store,
            files=files,
            uploads=StoredUploads(store, files),
            ledger=ledger,
            bus=bus,
            projection=projection,
            log=pump,
            broker=broker,
            admission=admission,
            queue=queue,
            arrivals=arrivals,
            engine=engine,
            announcer=announcer,
            shelf=make_shelf(settings, library),
            wanted=make_wanted(settings, library),
            load_keys=_load_keys(store),
            role=role,
            outbox=store,
            metrics=metrics,
        ),
    )


def assemble(settings: Settings, parts: Parts) -> Services:
    """Put together what every server has, around the parts of its kind."""
    metrics, store, broker, admission = parts.metrics, parts.store, parts.broker, parts.admission
    styles = Styles(make_wordsmith(settings.models_dir, settings.model_folders).styles)
    downloads = Downloads(settings, parts.shelf, parts.announcer)
    model_loads = ModelLoads()
    feeds = Feeds(parts.ledger, store, parts.bus, parts.log, broker, model_loads)
    fetcher = Fetcher(settings)
    inputs = Inputs(settings, parts.files, store, parts.uploads, fetcher)
    model_check = ModelCheck(parts.wanted)
    presets = Presets(PresetBook(_preset_folders(settings)), model_check)
    submissions = Submissions(
        store=store,
        broker=broker,
        places=Places(admission, broker, most=settings.max_queued_jobs, most_of_key=settings.max_queued_jobs_per_key),
        inputs=inputs,
        models=model_check,
        styles=styles,
        presets=presets,
        arrivals=parts.arrivals,
    )
    jobs = JobManager(settings, ledger=parts.ledger, store=store, broker=broker, feeds=feeds, admission=admission)
    thumbnails = Thumbnails()
    removal = Removal(
        store, parts.files, thumbnails, parts.ledger, parts.log, parts.projection, jobs, removing=parts.removing
    )
    webhooks = Webhooks(settings, parts.outbox)
    services = Services(
        settings=settings,
        keys=KeyRing(settings.api.keys, parts.load_keys),
        store=store,
        files=parts.files,
        uploads=parts.uploads,
        ledger=parts.ledger,
        bus=parts.bus,
        projection=parts.projection,
        log=parts.log,
        broker=broker,
        admission=admission,
        queue=parts.queue,
        feeds=feeds,
        inputs=inputs,
        fetcher=fetcher,
        submissions=submissions,
        jobs=jobs,
        engine=parts.engine,
        announcer=parts.announcer,
        thumbnails=thumbnails,
        removal=removal,
        expiry=Expiry(settings, store, parts.uploads, removal, is_in_charge=parts.is_in_charge),
        webhooks=webhooks,
        metrics=metrics,
        models=Models(parts.shelf, parts.engine, downloads),
        model_loads=model_loads,
        styles=styles,
        presets=presets,
        downloads=downloads,
        role=parts.role,
    )
    parts.projection.listeners += [parts.queue, webhooks, metrics, model_loads]
    parts.projection.on_commit = metrics.observe_commit
    webhooks.on_result = metrics.observe_webhook
    metrics.watch(
        Gauges(
            queued=admission.counts,
            engine=parts.engine.state,
            subscribers=parts.bus.subscriber_count,
            sockets=lambda: len(services.sockets),
            deepest_buffer=lambda: max([0, *map(len, services.outlets), *map(len, services.sockets)]),
            rows=parts.rows,
        )
    )
    return services


def storage_place(settings: Settings) -> StoragePlace | None:
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
