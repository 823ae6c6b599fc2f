"""The streams and buckets of a cluster at a real NATS."""

import asyncio
from typing import Any

import pytest
from nats.js import api
from structlog.testing import capture_logs

from service.cluster.connection import Connection, connect
from service.cluster.names import Names
from service.cluster.stream_settings import Bucket, Difference
from service.cluster.streams import ForeignStream, ensure, ensure_buckets, stream_id
from service.settings import Settings, SettingsError, load
from tests.nats_servers import NatsServer

pytestmark = pytest.mark.anyio


async def config(connection: Connection, stream: str) -> api.StreamConfig:
    info: Any = await connection.js.stream_info(stream)
    found: api.StreamConfig = info.config
    return found


async def test_gateways_that_start_at_once_agree_on_one_history(
    nats: NatsServer, connection: Connection, names: Names, settings: Settings
) -> None:
    other = await connect(nats.url, "other")
    assert await stream_id(connection, names) is None
    ids = await asyncio.gather(*(ensure(one, names, settings) for one in (connection, other) for _ in range(8)))
    assert len(set(ids)) == 1
    assert await stream_id(other, names) == ids[0]
    await other.close()


async def test_a_history_that_begins_anew_has_another_id(
    connection: Connection, names: Names, settings: Settings
) -> None:
    before = await ensure(connection, names, settings)
    assert await ensure(connection, names, settings) == before
    await connection.js.delete_stream(names.facts_stream)
    assert await ensure(connection, names, settings) != before


async def test_clusters_share_a_nats(connection: Connection, names: Names, settings: Settings) -> None:
    other = Names(f"{names.cluster}b")
    assert await ensure(connection, names, settings) != await ensure(connection, other, settings)


async def test_each_stream_of_another_make_is_refused_with_every_difference_named(
    connection: Connection, names: Names, settings: Settings
) -> None:
    await connection.js.add_stream(
        name=names.facts_stream, subjects=["other.*"], max_age=60, max_msgs=5, storage=api.StorageType.MEMORY
    )
    with pytest.raises(ForeignStream) as caught:
        await ensure(connection, names, settings)
    refusal = caught.value
    assert refusal.stream == names.facts_stream
    assert {difference.setting for difference in refusal.differences} == {
        "subjects",
        "max_age",
        "max_msgs",
        "storage",
        "discard",
        "duplicate_window",
        "allow_direct",
        "allow_msg_ttl",
        "metadata.safelight.version",
        "metadata.safelight.id",
    }
    told = str(refusal)
    assert f"the stream {names.facts_stream} of NATS at {connection.address} is not as Safelight needs it" in told
    assert "max_age: wanted 0, found 60 s" in told
    assert "storage: wanted file, found memory" in told
    assert "subjects: wanted " + f"{names.all_facts}, {names.all_notes}, found other.*" in told
    assert "setting `cluster`" in told
    assert f"nats stream rm {names.facts_stream}" in told


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"max_age": 3600}, Difference("max_age", 0, 3600 * 10**9)),
        ({"max_msgs_per_subject": 1}, Difference("max_msgs_per_subject", -1, 1)),
        ({"discard": api.DiscardPolicy.OLD}, Difference("discard", "new", "old")),
        ({"deny_purge": True}, Difference("deny_purge", False, True)),
        ({"duplicate_window": 1}, Difference("duplicate_window", 120 * 10**9, 10**9)),
        ({"allow_direct": False}, Difference("allow_direct", True, False)),
    ],
)
async def test_a_stream_that_somebody_edited_is_refused_with_the_way_back(
    connection: Connection, names: Names, settings: Settings, change: dict[str, Any], difference: Difference
) -> None:
    await ensure(connection, names, settings)
    await connection.js.update_stream(await config(connection, names.facts_stream), **change)
    with pytest.raises(ForeignStream, match=f"nats stream edit {names.facts_stream}") as caught:
        await ensure(connection, names, settings)
    assert caught.value.differences == (difference,)


async def test_a_bucket_of_another_make_is_refused(connection: Connection, names: Names, settings: Settings) -> None:
    await connection.js.create_key_value(bucket=names.bucket(Bucket.KEYS), history=5)
    with pytest.raises(ForeignStream, match="max_msgs_per_subject: wanted 1, found 5"):
        await ensure(connection, names, settings)


async def test_subjects_that_another_stream_takes_are_told(
    connection: Connection, names: Names, settings: Settings
) -> None:
    await connection.js.add_stream(name=f"{names.cluster}-everything", subjects=[f"{names.cluster}.>"])
    with pytest.raises(SettingsError, match=r"another stream .* takes .*; choose another name with the setting"):
        await ensure(connection, names, settings)


async def test_more_replicas_than_servers_are_refused_by_the_name_of_the_setting(
    connection: Connection, names: Names, settings: Settings
) -> None:
    with pytest.raises(SettingsError, match=r"nats_replicas: .* cannot keep 3 replicas"):
        await ensure(connection, names, settings.model_copy(update={"nats_replicas": 3}))


async def test_what_an_operator_added_is_left_alone(connection: Connection, names: Names, settings: Settings) -> None:
    await ensure(connection, names, settings)
    found = await config(connection, names.facts_stream)
    found.metadata = {**(found.metadata or {}), "team": "darkroom"}
    await connection.js.update_stream(found, description="ours", compression=api.StoreCompression.S2)
    await ensure(connection, names, settings)
    kept = await config(connection, names.facts_stream)
    assert kept.description == "ours"
    assert kept.compression == "s2"
    assert (kept.metadata or {})["team"] == "darkroom"


async def test_a_time_to_live_follows_its_setting(nats: NatsServer, connection: Connection, names: Names) -> None:
    def with_lost_after(seconds: float) -> Settings:
        return load(None, {"nats_url": nats.url, "cluster": names.cluster, "worker_lost_s": seconds})

    workers = f"KV_{names.bucket(Bucket.WORKERS)}"
    await ensure(connection, names, with_lost_after(30))
    with capture_logs() as logged:
        await ensure(connection, names, with_lost_after(5))
    assert (await config(connection, workers)).max_age == 5
    changed = [entry for entry in logged if entry["event"] == "nats.stream_changed"]
    assert [entry["stream"] for entry in changed] == [workers]
    await ensure(connection, names, with_lost_after(300))
    assert (await config(connection, workers)).max_age == 300


async def test_buckets_hold_what_they_are_given_as_long_as_they_have_to(
    connection: Connection, names: Names, settings: Settings
) -> None:
    await ensure(connection, names, settings)
    found = {bucket: await config(connection, f"KV_{names.bucket(bucket)}") for bucket in Bucket}
    assert {bucket: (one.max_age, one.storage) for bucket, one in found.items()} == {
        Bucket.CANCELS: (3600, "file"),
        Bucket.WORKERS: (settings.worker_lost_s, "memory"),
        Bucket.IDEMPOTENCY: (settings.idempotency_ttl_s, "file"),
        Bucket.LEASES: (10, "file"),
        Bucket.KEYS: (0, "file"),
        Bucket.SECRETS: (0, "file"),
    }
    bucket = await connection.js.key_value(names.bucket(Bucket.SECRETS))
    await bucket.create("a", b"1")
    assert (await bucket.get("a")).value == b"1"


async def test_the_buckets_that_went_with_nats_are_made_again(
    nats: NatsServer, connection: Connection, names: Names, settings: Settings
) -> None:
    before = await ensure(connection, names, settings)
    is_done = asyncio.Event()

    async def hook() -> None:
        await ensure_buckets(connection, names, settings)
        is_done.set()

    connection.on_reconnect.append(hook)
    nats.restart()
    await is_done.wait()
    for bucket in Bucket:
        await connection.js.key_value(names.bucket(bucket))
    assert await stream_id(connection, names) == before
