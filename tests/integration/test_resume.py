"""A client that is cut off, again and again, misses nothing and gets nothing twice."""

import random
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from protocol.codec import JSON, Codec
from tests.integration.viewers import (
    FACT_TYPES,
    TERMINAL_TYPES,
    Message,
    Viewer,
    facts_of,
    finished,
    submit,
    watch_by_sse,
)
from tests.servers import DEADLINE_S, ThreadServer, thread_server, until

pytestmark = pytest.mark.usefixtures("quiet_log")

CUTS = 50
PRINTS = {"images": 24, "steps": 3, "step_ms": 2, "width": 16, "height": 16}
"""A job of 27 facts that takes about a third of a second."""
Look = Callable[[str, int, int | None], list[Message]]
"""Takes job id, last seq and how much to read before the cut (None: all); gives what was read whole."""


def watch_with_cuts(http: httpx.Client, look: Look, reach: int) -> None:
    """Watch jobs to their end through 50 cuts, each after 1..`reach` units, and check what was told."""
    lots = random.Random(2)
    cuts = 0
    while cuts < CUTS:
        job_id = submit(http, params=PRINTS, previews="all")["id"]
        facts: list[Message] = []
        while not (facts and facts[-1]["type"] in TERMINAL_TYPES):
            size = lots.randint(1, reach) if cuts < CUTS else None
            told = look(job_id, facts[-1]["seq"] if facts else 0, size)
            cuts += size is not None
            facts += [message for message in told if message["type"] in FACT_TYPES]
        assert [fact["seq"] for fact in facts] == list(range(1, PRINTS["images"] + 4))
        assert [without_bytes(fact) for fact in facts] == facts_of(http, job_id)
        job = finished(http, job_id)
        assert (job["status"], job["seq"], len(job["outputs"])) == ("succeeded", facts[-1]["seq"], PRINTS["images"])
        assert [fact["data"] for fact in facts if fact["type"] == "output.ready"] == job["outputs"]


def without_bytes(message: Message) -> Any:
    """As JSON would have it."""
    return orjson.loads(orjson.dumps(message))


def test_socket_cut_off_fifty_times_gets_every_fact_once_and_in_order(
    server: ThreadServer, http: httpx.Client, codec: Codec
) -> None:
    def look(job_id: str, after: int, size: int | None) -> list[Message]:
        viewer = Viewer(server, codec)
        try:
            assert viewer.ask("subscribe", job_id=job_id, after=after)["ok"]
            if size is None:
                return viewer.until_end()
            told: list[Message] = []
            while len(told) < size and not (told and told[-1]["type"] in TERMINAL_TYPES):
                told.append(viewer.next())
            return told
        finally:
            viewer.cut()

    watch_with_cuts(http, look, reach=12)


def test_event_stream_cut_off_fifty_times_gets_every_fact_once_and_in_order(http: httpx.Client) -> None:
    def look(job_id: str, after: int, size: int | None) -> list[Message]:
        told = []
        for identifier, data in watch_by_sse(http, job_id, after, at_most_bytes=size):
            event = orjson.loads(data)
            assert identifier == (event["seq"] if event["type"] in FACT_TYPES else None)
            told.append(event)
        return told

    watch_with_cuts(http, look, reach=4000)


def test_long_poll_cut_off_fifty_times_gets_every_fact_once_and_in_order(http: httpx.Client) -> None:
    def look(job_id: str, after: int, size: int | None) -> list[Message]:
        params: dict[str, float] = {"after": after, "wait": DEADLINE_S}
        with http.stream("GET", f"/v1/jobs/{job_id}/events", params=params) as response:
            if size is not None and size % 2:  # an answer that is lost on its way
                next(response.iter_raw(size))
                return []
            answer = orjson.loads(response.read())
        seqs = [event["seq"] for event in answer["events"] if event["type"] in FACT_TYPES]
        assert answer["seq"] == (seqs[-1] if seqs else after)
        assert answer["done"] == (answer["events"][-1]["type"] in TERMINAL_TYPES)
        events: list[Message] = answer["events"]
        return events

    watch_with_cuts(http, look, reach=300)


def test_watcher_of_all_jobs_cut_off_fifty_times_gets_every_fact_once_and_in_order(
    server: ThreadServer, http: httpx.Client, codec: Codec
) -> None:
    lots = random.Random(3)
    jobs: list[str] = []
    facts: list[Message] = []
    with Viewer(server, codec) as first:
        cursor = first.ask("subscribe", jobs="mine")["cursor"]
    for _ in range(CUTS):
        ended = {fact["job_id"] for fact in facts if fact["type"] in TERMINAL_TYPES}
        while len(jobs) - len(ended) < 3:
            jobs.append(submit(http, params=PRINTS)["id"])
            ended.discard(jobs[-1])
        with Viewer(server, codec) as viewer:
            viewer.say("subscribe", jobs="mine", cursor=cursor)
            for _ in range(lots.randint(1, 25)):
                message = viewer.next()
                if message["type"] in FACT_TYPES:
                    facts.append(message)
                    cursor = message["cursor"]
            viewer.cut()
    with Viewer(server, codec) as last:
        last.say("subscribe", jobs="mine", cursor=cursor)
        while {fact["job_id"] for fact in facts if fact["type"] in TERMINAL_TYPES} != set(jobs):
            message = last.next()
            if message["type"] in FACT_TYPES:
                facts.append(message)
    facts.sort(key=lambda fact: fact["job_id"])  # stable: within a job they stay as they came
    for job_id, told in groupby(facts, key=lambda fact: str(fact["job_id"])):
        assert [without_bytes(fact) for fact in told] == facts_of(http, job_id)
        assert finished(http, job_id)["status"] == "succeeded"


def test_facts_are_the_same_bytes_for_all_watchers_early_and_late(
    server: ThreadServer, http: httpx.Client, codec: Codec
) -> None:
    def fact_frames(viewer: Viewer) -> list[str | bytes]:
        return [frame for frame in viewer.frames if codec.decode(frame)["type"] in FACT_TYPES]

    params = {"images": 3, "steps": 4, "step_ms": 5, "width": 16, "height": 16, "format": "webp"}
    with Viewer(server, codec) as author, Viewer(server, codec) as watcher, Viewer(server, codec) as of_all:
        of_all.ask("subscribe", jobs="mine")
        job = author.submit(params=params, labels={"a": "ü"})
        watcher.ask("subscribe", job_id=job["id"], after=0)
        for viewer in (author, watcher, of_all):
            viewer.until_end()
    with Viewer(server, codec) as late:
        late.ask("subscribe", job_id=job["id"])
        late.until_end()
    frames = fact_frames(author)
    assert len(frames) == 6
    assert frames == fact_frames(watcher) == fact_frames(of_all) == fact_frames(late)
    if codec is JSON:
        streamed = [data.decode() for identifier, data in watch_by_sse(http, job["id"], 0) if identifier]
        polled = http.get(f"/v1/jobs/{job['id']}/events").text
        assert frames == streamed
        assert f'{{"events":[{",".join(streamed)}],' in polled


def test_failed_jobs_are_told_in_the_same_bytes_live_and_from_the_store(server: ThreadServer, codec: Codec) -> None:
    with Viewer(server, codec) as viewer:
        job = viewer.submit(params={"steps": 2, "fail_at_step": 1, "width": 16, "height": 16})
        live = viewer.until_end(job["id"])[-1]
        viewer.ask("subscribe", job_id=job["id"], after=live["seq"] - 1)
        assert viewer.next() == live
        assert viewer.frames[-1] == viewer.frames[-3]


def test_subscriber_who_comes_after_the_end_gets_all_facts(server: ThreadServer, codec: Codec) -> None:
    with Viewer(server, codec) as viewer:
        job = viewer.submit(params={"images": 2, "steps": 1, "width": 16, "height": 16})
        viewer.until_end()
    with Viewer(server, codec) as late:
        assert late.ask("subscribe", job_id=job["id"])["job"]["status"] == "succeeded"
        told = [message["type"] for message in late.until_end()]
    assert told == ["job.queued", "job.started", "output.ready", "output.ready", "job.succeeded"]


def test_seq_in_the_future_of_a_job_is_refused(server: ThreadServer, http: httpx.Client, codec: Codec) -> None:
    job = submit(http, params={"steps": 0, "width": 16, "height": 16})
    seq = finished(http, job["id"])["seq"]
    with Viewer(server, codec) as viewer:
        reply = viewer.ask("subscribe", job_id=job["id"], after=seq + 1)
        assert reply["error"]["code"] == "invalid_params"
        assert reply["error"]["field"] == "$.after"
    stream = {"Accept": "text/event-stream"}
    answers = [
        http.get(f"/v1/jobs/{job['id']}/events", params={"after": seq + 1}),
        http.get(f"/v1/jobs/{job['id']}/events", params={"after": seq + 1}, headers=stream),
        http.get(f"/v1/jobs/{job['id']}/events", headers=stream | {"Last-Event-ID": str(seq + 1)}),
    ]
    assert [answer.status_code for answer in answers] == [422, 422, 422]
    assert all("after" in answer.json()["detail"] for answer in answers)


def test_stream_of_a_job_that_was_seen_to_its_end_says_not_to_come_back(http: httpx.Client) -> None:
    job = submit(http, params={"steps": 0, "width": 16, "height": 16})
    seq = finished(http, job["id"])["seq"]
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(seq)}
    assert http.get(f"/v1/jobs/{job['id']}/events", headers=headers).status_code == 204


def test_cursor_from_before_the_removal_of_facts_is_refused_as_expired(tmp_path: Path, codec: Codec) -> None:
    with thread_server(tmp_path / "data", job_ttl_s=0.05, expiry_interval_s=0.05) as server, server.client() as http:
        with Viewer(server, codec) as viewer:
            cursor = viewer.ask("subscribe", jobs="mine")["cursor"]
            job = viewer.submit(params={"steps": 0, "width": 16, "height": 16})
            viewer.until_end()
        until(lambda: http.get(f"/v1/jobs/{job['id']}").status_code == 404, "the job to expire")
        with Viewer(server, codec) as viewer:
            for stale in (cursor, "deadbeef-3", "nonsense", ""):
                reply = viewer.ask("subscribe", jobs="mine", cursor=stale)
                assert reply["error"]["code"] == "cursor_expired", stale
                assert reply["error"]["field"] == "$.cursor"
            fresh = viewer.ask("subscribe", jobs="mine")
            assert viewer.ask("subscribe", jobs="mine", cursor=fresh["cursor"])["ok"]


def test_hints_of_one_attempt_never_go_backwards(server: ThreadServer, codec: Codec) -> None:
    with Viewer(server, codec) as viewer:
        viewer.submit(params={"images": 2, "steps": 40, "step_ms": 1, "width": 64, "height": 64}, previews="all")
        told = viewer.until_end()
    counters = [message["n"] for message in told if "n" in message]
    assert counters == sorted(set(counters))
    seqs = [message["seq"] for message in told]
    assert seqs == sorted(seqs)
    previews = [message for message in told if message["type"] == "preview.ready"]
    assert previews
    assert all(message["data"]["bytes"].startswith(b"\xff\xd8") for message in previews)


def test_subscribers_of_a_job_from_before_a_restart_get_every_fact_once_while_it_goes_on(
    tmp_path: Path, codec: Codec
) -> None:
    """Its past is read from the store while its present is published: the two must fit together."""
    prints = {"images": 64, "steps": 1, "step_ms": 5, "width": 8, "height": 8}
    with thread_server(tmp_path / "data") as server, Viewer(server, codec) as viewer:
        job_id = viewer.submit(params=prints)["id"]
        for _ in range(3):
            viewer.until("output.ready")
    with thread_server(tmp_path / "data") as server, server.client() as http:
        viewers = []
        while http.get(f"/v1/jobs/{job_id}").json()["status"] != "succeeded":
            viewers.append(Viewer(server, codec))
            viewers[-1].ask("subscribe", job_id=job_id)
        expected = facts_of(http, job_id)
        assert "job.requeued" in [fact["type"] for fact in expected]
        assert len(viewers) > 3
        for viewer in viewers:
            told = [message for message in viewer.until_end() if message["type"] in FACT_TYPES]
            assert [without_bytes(fact) for fact in told] == expected
            viewer.cut()
