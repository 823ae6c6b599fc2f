"""What streams and buckets have to be like, and how one that is there is compared."""

from typing import Any

import pytest

from service.cluster.names import Names
from service.cluster.stream_settings import Bucket, Difference, Wanted, buckets, differences, streams
from service.settings import load

NAMES = Names("darkroom")


def wanted() -> dict[str, Wanted]:
    settings = load(None, {"worker_lost_s": 30, "nats_replicas": 3, "idempotency_ttl_s": 7200})
    return {one.name: one for one in (*streams(NAMES, settings), *buckets(NAMES, settings))}


def as_told(config: Any) -> dict[str, Any]:
    """As a server tells it: what is off left out, and with words of its own."""
    told = {name: value for name, value in config.items() if value is not False}
    told["metadata"] = {**config["metadata"], "_nats.ver": "2.15.1"}
    return {**told, "compression": "none", "consumer_limits": {}, "placement": {"tags": ["ssd"]}}


def test_streams_and_buckets_have_the_names_of_their_cluster() -> None:
    assert set(wanted()) == {
        "DARKROOM_FACTS",
        "DARKROOM_WORK",
        *(f"KV_DARKROOM-{bucket}" for bucket in Bucket),
    }


def test_facts_are_kept_until_they_are_purged() -> None:
    facts = wanted()["DARKROOM_FACTS"].config
    assert facts["retention"] == "limits"
    assert facts["storage"] == "file"
    assert facts["max_age"] == 0
    assert facts["max_bytes"] == facts["max_msgs"] == facts["max_msgs_per_subject"] == -1
    assert facts["discard"] == "new"


def test_each_history_has_an_id_of_its_own() -> None:
    ids = {wanted()["DARKROOM_FACTS"].config["metadata"]["safelight.id"] for _ in range(10)}
    assert len(ids) == 10
    assert all("-" not in one for one in ids), "a cursor is the id, a hyphen, and a number"


def test_no_bucket_remembers_repeats_longer_than_it_keeps_them() -> None:
    for bucket in Bucket:
        config = wanted()[f"KV_{NAMES.bucket(bucket)}"].config
        assert not config["max_age"] or config["duplicate_window"] <= config["max_age"]


@pytest.mark.parametrize("stream", sorted(wanted()))
def test_what_a_server_says_of_what_it_was_asked_for_is_no_difference(stream: str) -> None:
    config = wanted()[stream].config
    assert differences(config, as_told(config)) == []


@pytest.mark.parametrize("stream", sorted(wanted()))
def test_every_setting_that_differs_is_found(stream: str) -> None:
    config = wanted()[stream].config
    for setting, value in config.items():
        if setting in {"metadata", "name"}:
            continue
        other = ["elsewhere"] if setting == "subjects" else (not value if isinstance(value, bool) else 77)
        found = {**as_told(config), setting: other}
        assert differences(config, found) == [Difference(setting, value, other)]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("mirror", {"name": "other"}),
        ("sources", [{"name": "other"}]),
        ("subject_transform", {"src": "a", "dest": "b"}),
        ("republish", {"src": "a", "dest": "b"}),
        ("consumer_limits", {"max_ack_pending": 1}),
        ("persist_mode", "async"),
    ],
)
def test_what_changes_what_a_stream_holds_must_not_be_there(setting: str, value: object) -> None:
    config = wanted()["DARKROOM_FACTS"].config
    assert differences(config, {**as_told(config), setting: value}) == [Difference(setting, None, value)]


def test_a_stream_of_another_version_or_without_a_history_is_another_stream() -> None:
    config = wanted()["DARKROOM_FACTS"].config
    told = as_told(config)
    different = differences(config, {**told, "metadata": {"safelight.version": "2"}})
    assert [(one.setting, one.wanted, one.found) for one in different] == [
        ("metadata.safelight.version", "1", "2"),
        ("metadata.safelight.id", "one", None),
    ]
    assert all(one.is_fixed for one in different)


def test_a_difference_reads_as_a_person_would_say_it() -> None:
    assert str(Difference("max_age", 0, 60 * 10**9)) == "max_age: wanted 0, found 60 s"
    assert str(Difference("subjects", ["a", "b"], None)) == "subjects: wanted a, b, found nothing"
    assert str(Difference("allow_direct", True, False)) == "allow_direct: wanted true, found false"
