"""The JavaScript client against a server that cuts, repeats and loses on purpose; the Python client does the same."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from protocol.ids import new_id
from tests.integration.cutting_server import CuttingServer, job_story
from tests.integration.loop_thread import OnItsThread, on_a_thread
from tests.web.runtimes import Runtime

CUTS = 50
ALL = [1, 2, 3, 4, 5]


def test_a_client_cut_off_fifty_times_sees_every_fact_once_and_in_order(
    runtime: Runtime, cutter: CuttingServer
) -> None:
    cutter.cuts_left = CUTS
    seen = runtime.run("watching.facts", cutter.url, jobs=4, rounds=0, answer=lambda _round: cutter.cuts_left > 0)
    assert seen == [ALL] * len(seen)
    assert len(seen) > CUTS / 20
    assert cutter.sockets > CUTS


def test_a_submit_cut_off_before_its_reply_makes_one_job(runtime: Runtime, cutter: CuttingServer) -> None:
    cutter.withhold_replies = 3
    assert runtime.run("watching.facts", cutter.url) == [ALL]
    assert len(cutter.stories) == 1
    assert len([message for message in cutter.received if message["type"] == "submit"]) == 4


def test_a_submit_to_a_server_that_is_stopping_is_sent_again_to_the_next(
    runtime: Runtime, cutter: CuttingServer
) -> None:
    cutter.drains_left = 2
    assert runtime.run("watching.facts", cutter.url) == [ALL]
    keys = {message["idempotency_key"] for message in cutter.received if message["type"] == "submit"}
    assert (len(keys), cutter.sockets) == (1, 3)


def test_events_that_come_twice_are_delivered_once(runtime: Runtime, cutter: CuttingServer) -> None:
    cutter.repeats = True
    events = runtime.run("watching.events", cutter.url)
    places = [(event["type"], event["seq"], event["n"]) for event in events]
    assert len(places) == len(set(places))
    assert [event["seq"] for event in events if event["n"] is None] == ALL


def test_a_lost_fact_is_fetched_before_anything_after_it_is_delivered(runtime: Runtime, cutter: CuttingServer) -> None:
    cutter.losses_left = 3
    assert runtime.run("watching.facts", cutter.url) == [ALL]
    assert cutter.losses_left == 0
    assert cutter.sockets > 1


def test_events_keep_their_order_and_previews_their_bytes(runtime: Runtime, cutter: CuttingServer) -> None:
    events = runtime.run("watching.events", cutter.url)
    places = [(event["seq"], event["n"] or 0) for event in events]
    assert places == sorted(places)
    previews = [event for event in events if event["type"] == "preview.ready"]
    assert previews
    assert all(preview["bytes"] == [preview["step"]] * 100 for preview in previews)


def test_a_reader_that_comes_late_gets_all_facts_and_only_the_newest_hints(
    runtime: Runtime, cutter: CuttingServer
) -> None:
    told = runtime.run("watching.lateEvents", cutter.url)
    assert [event["seq"] for event in told["kept"] if event["n"] is None] == ALL
    hints = [event["type"] for event in told["kept"] if event["n"] is not None]
    assert sorted(hints) == ["preview.ready", "queue.moved", "step.finished"]
    assert [event["seq"] for event in told["asked"] if event["n"] is None] == ALL


def test_readers_of_one_job_see_the_facts_after_the_one_they_name(runtime: Runtime, cutter: CuttingServer) -> None:
    assert runtime.run("watching.twoReaders", cutter.url) == [ALL, [3, 4, 5], [4, 5]]


def test_a_client_that_knows_a_job_up_to_a_fact_asks_for_what_comes_after_it(
    runtime: Runtime, cutter: CuttingServer
) -> None:
    job_id = new_id()
    cutter.stories[job_id] = job_story(job_id)
    assert runtime.run("watching.resumed", cutter.url, jobId=job_id, after=3) == [4, 5]
    assert [message["after"] for message in cutter.received if message["type"] == "subscribe"] == [3]


def test_who_wants_a_job_from_an_earlier_fact_than_another_gets_it(runtime: Runtime, cutter: CuttingServer) -> None:
    job_id = new_id()
    cutter.stories[job_id] = job_story(job_id)
    assert runtime.run("watching.earlierToo", cutter.url, jobId=job_id) == [[4, 5], ALL]
    assert cutter.sockets == 2


def test_one_socket_carries_many_jobs(runtime: Runtime, cutter: CuttingServer) -> None:
    assert runtime.run("watching.facts", cutter.url, jobs=30) == [ALL] * 30
    assert cutter.sockets == 1


def test_what_nobody_reads_any_more_is_not_asked_for_until_somebody_does(
    runtime: Runtime, cutting: tuple[CuttingServer, OnItsThread]
) -> None:
    cutter, there = cutting
    there.do(_hold(cutter))

    def go_on(_question: str) -> None:
        there.do(_release(cutter))

    told = runtime.run("watching.leaveAndComeBack", cutter.url, answer=go_on)
    assert told["again"] == ALL
    assert set(told["first"]) == {1, 2}
    assert [message["type"] for message in cutter.received] == ["submit", "unsubscribe", "subscribe"]


def test_reading_that_is_aborted_throws_the_reason_and_leaves_the_job(
    runtime: Runtime, cutting: tuple[CuttingServer, OnItsThread]
) -> None:
    cutter, there = cutting
    there.do(_hold(cutter))
    told = runtime.run("watching.aborted", cutter.url)
    assert told["message"] == "enough"
    assert told["read"][-1] == "job.started"


def test_a_reader_that_lags_gets_every_fact_and_the_newest_hints(runtime: Runtime, cutter: CuttingServer) -> None:
    events = runtime.run("watching.slowReader", cutter.url)
    assert [event["seq"] for event in events if event["n"] is None] == ALL
    assert len([event for event in events if event["n"] is not None]) < 10


def test_cancelling_is_told_by_the_event(runtime: Runtime, cutting: tuple[CuttingServer, OnItsThread]) -> None:
    cutter, there = cutting
    there.do(_hold(cutter))
    told = runtime.run("submitting.cancelled", cutter.url)
    assert told["status"] == "cancelled"
    assert told["again"]["code"] == "already_ended"


def test_a_cancel_whose_reply_was_cut_off_is_no_error(
    runtime: Runtime, cutting: tuple[CuttingServer, OnItsThread]
) -> None:
    cutter, there = cutting
    there.do(_hold(cutter))

    def withhold(_question: str) -> None:
        cutter.withhold_replies = 1

    assert runtime.run("submitting.cancelled", cutter.url, whenHeld=True, answer=withhold)["status"] == "cancelled"


@pytest.mark.parametrize("close_code", [1001, 1011, 1012, 4408])
def test_a_close_code_that_allows_it_makes_the_client_come_back(
    runtime: Runtime, cutter: CuttingServer, close_code: int
) -> None:
    cutter.close_with = close_code
    assert runtime.run("watching.facts", cutter.url) == [ALL]
    assert cutter.sockets == 2


@pytest.mark.parametrize(
    ("close_code", "code"), [(1008, "forbidden"), (4400, "malformed"), (4401, "unauthorized"), (4406, "not_acceptable")]
)
def test_a_close_code_that_refuses_is_told_and_not_tried_again(
    runtime: Runtime, cutter: CuttingServer, close_code: int, code: str
) -> None:
    cutter.close_with = close_code
    told = runtime.run("submitting.refused", cutter.url)
    assert (told["name"], told["code"], told["phase"]) == ("SafelightError", code, "refused")
    assert cutter.sockets == 1


def test_a_message_that_is_too_big_is_told_and_what_is_small_is_sent_again(
    runtime: Runtime, cutter: CuttingServer
) -> None:
    cutter.close_with = 1009
    assert runtime.run("submitting.refused", cutter.url)["code"] == "too_large"


def test_the_key_is_offered_as_a_subprotocol(runtime: Runtime, cutter: CuttingServer) -> None:
    runtime.run("watching.facts", cutter.url, options={"key": "secret"})
    offered = cutter.headers[0]["sec-websocket-protocol"].replace(" ", "").split(",")
    assert offered == ["safelight.v1.json", "safelight.key.secret"]


def test_nobody_there_is_told_at_once_to_the_impatient(runtime: Runtime) -> None:
    url = "http://127.0.0.1:9" if runtime.name == "node" else "http://127.0.0.1:12345"  # browsers keep off port 9
    told = runtime.run("submitting.refused", url, options={"patienceS": 0})
    assert told["code"] == "unreachable"


def test_a_server_that_stays_away_ends_the_patience_of_everyone_who_waits(
    runtime: Runtime, cutting: tuple[CuttingServer, OnItsThread]
) -> None:
    cutter, there = cutting
    url = cutter.url
    there.do(_hold(cutter))
    told = runtime.run(
        "submitting.outlived", url, options={"patienceS": 0.3}, answer=lambda _question: there.do(cutter.stop())
    )
    assert [refusal["code"] for refusal in told["refusals"]] == ["connection_lost"] * 2
    assert told["phases"][:2] == ["connecting", "open"]
    assert "lost" in told["phases"]
    assert "refused" in told["phases"]


def test_a_connection_that_nobody_wants_any_more_does_not_come_back(runtime: Runtime, cutter: CuttingServer) -> None:
    cutter.close_with = 1012
    told = runtime.run("submitting.givenUp", cutter.url)
    assert told == {"message": "given up", "phases": ["connecting", "open", "lost", "closed"]}
    assert (cutter.sockets, cutter.stories) == (1, {})


def test_a_job_that_does_not_exist_is_refused_without_harm_to_the_others(
    runtime: Runtime, cutter: CuttingServer
) -> None:
    missing = new_id()
    cutter.refusals[missing] = {"code": "not_found", "message": "no such job"}
    told = runtime.run("watching.missingBeside", cutter.url, jobId=missing)
    assert (told["refused"]["code"], told["refused"]["message"]) == ("not_found", "no such job")
    assert told["status"] == "succeeded"


def test_an_event_type_of_a_newer_server_does_no_harm(runtime: Runtime, cutter: CuttingServer) -> None:
    job_id = new_id()
    story = cutter.stories[job_id] = job_story(job_id)
    story[1] = {**story[1], "type": "queue.sang", "data": {"song": "la"}}
    started = next(index for index, event in enumerate(story) if event["type"] == "job.started")
    story[started] = {**story[started], "type": "job.blessed", "data": {}}
    assert runtime.run("watching.resumed", cutter.url, jobId=job_id, after=0) == ALL


def test_a_server_that_says_nothing_any_more_is_left(runtime: Runtime, cutter: CuttingServer) -> None:
    cutter.mutes_left = 1
    assert runtime.run("watching.facts", cutter.url, options={"heartbeatMs": 100}) == [ALL]
    assert cutter.sockets == 2
    assert "ping" in {message["type"] for message in cutter.received}


def test_a_server_that_is_quiet_and_answers_pings_is_kept(
    runtime: Runtime, cutting: tuple[CuttingServer, OnItsThread]
) -> None:
    cutter, there = cutting
    there.do(_hold(cutter))
    there.do(_release_after_pings(cutter, 2))
    assert runtime.run("watching.facts", cutter.url, options={"heartbeatMs": 600}) == [ALL]
    assert cutter.sockets == 1


def test_an_http_server_of_another_kind_is_told_as_such(runtime: Runtime) -> None:
    with another_kind() as url:
        told = runtime.run("submitting.refused", url, from_there=True)
    assert told["code"] == "unexpected_answer"
    assert "is it a Safelight server" in told["message"]


@contextmanager
def another_kind() -> Iterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:  # browsers open connections they may need
            pass
        else:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    class Other:
        async def __aenter__(self) -> asyncio.Server:
            self._server = await asyncio.start_server(answer, "127.0.0.1", 0)
            return self._server

        async def __aexit__(self, *error: object) -> None:
            self._server.close()

    with on_a_thread(Other) as (server, _):
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _hold(server: CuttingServer) -> None:
    server.hold_end.clear()


async def _release(server: CuttingServer) -> None:
    server.hold_end.set()


async def _release_after_pings(server: CuttingServer, count: int) -> None:
    """Let jobs end once that many pings have come."""

    class Counting(list[dict[str, Any]]):
        def append(self, message: dict[str, Any]) -> None:
            super().append(message)
            if [one["type"] for one in self].count("ping") >= count:
                server.hold_end.set()

    server.received = Counting()
