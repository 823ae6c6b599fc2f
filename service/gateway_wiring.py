"""A gateway of a cluster, put together: a server whose jobs are done by workers elsewhere."""

import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

from protocol.ids import new_id
from service.admission import Admission
from service.bridge import Announcer
from service.bus import Bus
from service.cluster.cancels import Cancels
from service.cluster.connection import Connection, connect
from service.cluster.envelope import RemovedNote
from service.cluster.fact_writer import FactWriter
from service.cluster.follower import Follower
from service.cluster.gateway import Gateway
from service.cluster.gateway_broker import GatewayBroker
from service.cluster.hint_feed import HintFeed
from service.cluster.idempotency import Idempotency
from service.cluster.jetstream import ask
from service.cluster.kv import Bucket
from service.cluster.leases import Lease
from service.cluster.names import Names
from service.cluster.objects import Objects, StoreAway
from service.cluster.reconciler import Reconciler
from service.cluster.remote_engine import RemoteEngine
from service.cluster.remote_models import RemoteModels
from service.cluster.shared_files import SharedFiles
from service.cluster.shared_keys import SharedKeys, shared_secret
from service.cluster.shared_outbox import SharedOutbox
from service.cluster.shared_removal import SharedRemoval
from service.cluster.shared_uploads import SharedUploads
from service.cluster.snapshots import Snapshots
from service.cluster.stream_log import StreamLog
from service.cluster.stream_projection import StreamProjection
from service.cluster.stream_settings import Bucket as BucketName
from service.cluster.streams import ensure, ensure_buckets
from service.cluster.turnstile import Turnstile
from service.cluster.work_place import WorkPlaces
from service.cluster.work_publisher import WorkPublisher
from service.cluster.work_rows import WorkRows
from service.cluster.workers import Workers
from service.job_views import EndedJob
from service.ledger import Ledger
from service.metrics import Metrics
from service.projection import Projection
from service.queue_view import QueueView
from service.setting_values import Synchronous
from service.settings import Settings, SettingsError
from service.storage import BadPlace, StoragePlace
from service.store import Store
from service.wiring import Parts, Services, assemble

_SECRET: Final = "webhooks"  # noqa: S105 - what it is called
_SECRET_BYTES: Final = 32


def cluster_objects(settings: Settings) -> Objects:
    """Where the cluster of these settings keeps inputs and outputs.

    Raises:
        SettingsError: they name no place, or one that cannot be.
    """
    try:
        place = StoragePlace.of_cluster(settings)
    except BadPlace as error:
        raise SettingsError(str(error)) from None
    if place is None:
        raise SettingsError("objects_url: a cluster needs it: s3://BUCKET[/PREFIX] or file:///FOLDER, the same for all")
    return Objects(place)


def cluster_url(settings: Settings) -> str:
    """Where NATS is.

    Raises:
        SettingsError: the settings do not say.
    """
    if settings.nats_url is None:
        raise SettingsError("nats_url: a cluster needs it: nats://HOST:PORT, the same for all gateways and workers")
    return settings.nats_url


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[Services]:
    """A gateway, connected to its cluster, with a database that is of it. Nothing runs yet.

    Raises:
        SettingsError: NATS or the object store cannot be used as the settings say, or a stream is not as it has to be.
    """
    objects, url = cluster_objects(settings), cluster_url(settings)
    names = Names(settings.cluster)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    name = f"gateway-{new_id()[-12:]}"
    connection = await connect(url, name, credentials=settings.nats_credentials)
    try:
        stream_id = await ensure(connection, names, settings)
        connection.on_reconnect.append(lambda: ensure_buckets(connection, names, settings))
        await objects.check()
        snapshots = Snapshots(objects, settings.data_dir, stream_id)
        info = await ask(connection, f"STREAM.INFO.{names.facts_stream}")
        await snapshots.begin(info["state"]["last_seq"])
        settings = settings.model_copy(update={"allow_model_downloads": False})  # models are the workers' business
        if settings.webhook_secret is None:
            secret = await shared_secret(Bucket(connection, names.bucket(BucketName.SECRETS)), _SECRET, _new_secret)
            settings = settings.model_copy(update={"webhook_secret": secret.decode()})
        yield _wire(settings, connection, names, stream_id, objects, snapshots, name)
    except StoreAway as error:
        raise SettingsError(str(error)) from None
    finally:
        await connection.close()


def _wire(
    settings: Settings,
    connection: Connection,
    names: Names,
    stream_id: str,
    objects: Objects,
    snapshots: Snapshots,
    name: str,
) -> Services:
    def bucket(which: BucketName) -> Bucket:
        return Bucket(connection, names.bucket(which))

    metrics = Metrics()
    store = Store(settings.data_dir, settings.synchronous)
    files = SharedFiles(
        settings.data_dir,
        objects,
        cache_bytes=settings.objects_cache_bytes,
        survives_power_loss=settings.synchronous is Synchronous.FULL,
    )
    ledger, bus, admission, arrivals = Ledger(numbers_by_clock=True), Bus(), Admission(), count(1)
    projection = Projection(ledger, bus, job_ttl_s=settings.job_ttl_s)
    writer = FactWriter(connection, names)

    async def removed(note: RemovedNote) -> None:
        job = await store.ended_job(note.job_id) or EndedJob(note.job_id, note.key_id, 0, 1)
        await store.forget_facts(note.key_id, note.last)
        await services.removal.take_away([job], note.reason)

    streamed = StreamProjection(ledger, store, bus, projection, arrivals, removed)
    follower = Follower(connection, names.facts_stream, streamed.take_in)
    log = StreamLog(connection, writer, follower, streamed, ledger, projection)
    queue = QueueView(admission, ledger, bus, log)
    hints = HintFeed(connection, names, ledger, bus, projection)
    models = RemoteModels()
    places = WorkPlaces(models.token_name)
    rows = WorkRows(connection, names, worker_lost_s=settings.worker_lost_s)
    work = WorkPublisher(connection, names, rows)
    broker = GatewayBroker(
        connection,
        names,
        writer=writer,
        work=work,
        places=places,
        turnstile=Turnstile(bucket(BucketName.LEASES)),
        cancels=Cancels(bucket(BucketName.CANCELS)),
        idempotency=Idempotency(bucket(BucketName.IDEMPOTENCY)),
        follower=follower,
        hints=hints,
        ledger=ledger,
        store=store,
    )
    workers = Workers(
        connection,
        bucket(BucketName.WORKERS),
        worker_lost_s=settings.worker_lost_s,
        on_change=lambda: models.learn(workers.current().values()),
    )

    def charge_changed() -> None:
        role.charge_changed.set()
        services.webhooks.wake()

    lease = Lease(connection, bucket(BucketName.LEASES), "charge", name, on_gain=charge_changed, on_loss=charge_changed)
    reconciler = Reconciler(ledger, store, writer, work, places)
    role = Gateway(
        connection,
        names,
        stream_id=stream_id,
        store=store,
        log=log,
        queue=queue,
        broker=broker,
        follower=follower,
        streamed=streamed,
        hints=hints,
        workers=workers,
        files=files,
        lease=lease,
        reconciler=reconciler,
        snapshots=snapshots,
        reconcile_s=settings.worker_lost_s / 2,
        snapshot_after=settings.snapshot_after,
    )
    services = assemble(
        settings,
        Parts(
            store=store,
            files=files,
            uploads=SharedUploads(files, objects, ttl_s=settings.upload_ttl_s),
            ledger=ledger,
            bus=bus,
            projection=projection,
            log=log,
            broker=broker,
            admission=admission,
            queue=queue,
            arrivals=arrivals,
            engine=RemoteEngine(connection, names, workers.current),
            announcer=Announcer(),
            shelf=models,
            wanted=models,
            load_keys=SharedKeys(bucket(BucketName.KEYS)).load,
            role=role,
            outbox=SharedOutbox(store, writer, lambda: lease.is_held),
            removing=SharedRemoval(writer, follower, files),
            is_in_charge=lambda: lease.is_held,
            metrics=metrics,
            rows=lambda: reconciler.rows,
        ),
    )
    projection.listeners.append(hints)
    return services


def _new_secret() -> bytes:
    return b"whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES))
