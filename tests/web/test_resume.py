"""The JavaScript client and the real server: what the Python client survives."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.auth import Scope, add_key, revoke_key
from tests.integration.cutting_proxy import CuttingProxy
from tests.integration.loop_thread import on_a_thread
from tests.servers import ProcessServer, ThreadServer, free_port, thread_server
from tests.web.runtimes import Runtime

CUTS = 50
PRINTS = {"steps": 50, "step_ms": 20, "width": 16, "height": 16}
LONG = {"task": "test_pattern", "params": PRINTS}


def test_a_job_is_watched_from_its_first_fact_to_its_output(runtime: Runtime, server: ThreadServer) -> None:
    params = {"steps": 4, "step_ms": 20, "width": 64, "height": 48}
    told = runtime.run("following.developed", server.url, params=params)
    facts = [event for event in told["events"] if event["n"] is None]
    assert [fact["seq"] for fact in facts] == [1, 2, 3, 4]
    assert [fact["type"] for fact in facts] == ["job.queued", "job.started", "output.ready", "job.succeeded"]
    previews = [event for event in told["events"] if event["type"] == "preview.ready"]
    assert previews
    assert all(preview["bytes"][:2] == [0xFF, 0xD8] for preview in previews)
    assert (told["kind"], told["bytes"]) == ("image/png", list(b"\x89PNG"))
    with server.client() as http:
        job = http.get(f"/v1/jobs/{told['ended']['id']}").json()
    kept = ("status", "seq", "outputs", "labels", "attempt", "started_at", "finished_at")
    assert {name: told["ended"][name] for name in kept} == {name: job[name] for name in kept}


def test_cut_off_fifty_times_on_the_way_no_fact_is_lost_or_repeated_and_no_job_is_doubled(
    runtime: Runtime, server: ThreadServer
) -> None:
    with on_a_thread(lambda: CuttingProxy(server.port, cuts=CUTS, after_bytes=3000)) as (proxy, _):
        told = runtime.run("following.throughCuts", proxy.url, jobs=4, answer=lambda _question: proxy.cuts_left > 0)
    types = ["job.queued", "job.started", *["output.ready"] * 3, "job.succeeded"]
    assert told == [{"types": types, "seqs": [1, 2, 3, 4, 5, 6], "status": "succeeded"}] * len(told)
    assert len(told) >= 4
    assert len(all_jobs(server)) == len(told)


def test_a_watcher_of_all_jobs_cut_off_fifty_times_gets_every_fact_once_and_in_order(
    runtime: Runtime, server: ThreadServer
) -> None:
    with on_a_thread(lambda: CuttingProxy(server.port, cuts=CUTS, after_bytes=3000)) as (proxy, _):
        told = runtime.run("following.mineThroughCuts", proxy.url, jobs=3, answer=lambda _question: proxy.cuts_left > 0)
    facts = told["facts"]
    assert list(facts.values()) == [list(range(1, 10))] * len(facts)
    assert {*facts, told["first"]} == {job["id"] for job in all_jobs(server)}
    assert told["first"] not in facts


def test_watching_all_ones_jobs_goes_on_from_its_cursor(runtime: Runtime, server: ThreadServer) -> None:
    told = runtime.run("following.mineGoesOn", server.url)
    first, second = told["first"], told["second"]
    assert [fact[1:] for fact in told["told"] if fact[0] == first] == [[3, "output.ready"], [4, "job.succeeded"]]
    assert [fact[1] for fact in told["told"] if fact[0] == second] == [1, 2, 3, 4]


def test_whatever_happens_once_the_watching_has_begun_is_told(runtime: Runtime, server: ThreadServer) -> None:
    assert runtime.run("following.mineFromNow", server.url) == [1, 2, 3, 4]


@pytest.mark.parametrize("cursor", ["deadbeef-3", "nonsense"])
def test_a_cursor_that_has_expired_is_refused_as_such(runtime: Runtime, server: ThreadServer, cursor: str) -> None:
    told = runtime.run("following.expired", server.url, cursor=cursor)
    assert (told["refused"]["code"], told["refused"]["field"]) == ("cursor_expired", "$.cursor")
    assert told["status"] == "succeeded"


def test_a_viewer_outlives_the_server_and_sees_its_job_through(runtime: Runtime, tmp_path: Path) -> None:
    with ProcessServer(tmp_path) as server:

        def kill_and_start(_question: str) -> None:
            server.kill()
            server.start()

        told = runtime.run("following.throughTrouble", server.url, request=LONG, answer=kill_and_start)
    seen_through(told)
    assert "job.requeued" in [kind for _, kind in told["facts"]]


def test_a_viewer_comes_back_to_a_server_that_was_stopped_and_started(runtime: Runtime, tmp_path: Path) -> None:
    port = free_port()
    with ExitStack() as servers:

        def start(_question: str = "") -> Any:
            servers.close()
            return servers.enter_context(thread_server(tmp_path, port=port, shutdown_timeout_s=0.1))

        told = runtime.run("following.throughTrouble", start().url, request=LONG, answer=lambda _: start() and None)
    seen_through(told)


def seen_through(told: dict[str, Any]) -> None:
    """Both ways of watching have every fact once, in order, to the end."""
    seqs = [seq for seq, _ in told["facts"]]
    assert seqs == list(range(1, told["seq"] + 1))
    assert [kind for _, kind in told["facts"]][:2] == ["job.queued", "job.started"]
    assert told["mine"] == seqs[seqs.index(told["mine"][0]) :]
    assert told["status"] == "succeeded"
    assert told["outputBytes"] > 0
    assert "lost" in told["phases"]


def test_a_revoked_key_is_told_and_with_another_key_everything_goes_on(runtime: Runtime, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with thread_server(data_dir) as server:  # makes the database
        pass
    own = add_key(data_dir, "own", {Scope.JOBS_READ, Scope.JOBS_WRITE})
    other = add_key(data_dir, "other", {Scope.ADMIN})
    with thread_server(data_dir, shutdown_timeout_s=0.1) as server:

        def revoke(_question: str) -> None:
            revoke_key(data_dir, "own")

        told = runtime.run("following.revoked", server.url, options={"key": own}, otherKey=other, answer=revoke)
    assert told == {"code": "unauthorized", "facts": [1, 2, 3], "phase": "open"}


def test_the_server_is_heard_telling_of_its_models(runtime: Runtime, server: ThreadServer, http: httpx.Client) -> None:
    def load(_question: str) -> None:
        http.post("/v1/models/fake/load").raise_for_status()

    told = runtime.run("following.serverEvents", server.url, until="model.loaded", answer=load)
    assert told["told"][-1]["data"]["model"] == "checkpoint:fake"
    assert told["models"] > 0


def test_the_server_is_heard_saying_that_it_stops(runtime: Runtime, tmp_path: Path) -> None:
    with thread_server(tmp_path, reconnect_to="wss://other.example/v1/ws") as server:

        def stop(_question: str) -> None:
            server.server.should_exit = True

        told = runtime.run("following.serverEvents", server.url, until="server.draining", answer=stop)
    assert told["told"][-1]["data"] == {"reconnect_to": "wss://other.example/v1/ws"}


def test_a_network_that_is_back_ends_the_waiting_at_once(runtime: Runtime, server: ThreadServer) -> None:
    with on_a_thread(lambda: CuttingProxy(server.port, cuts=0, after_bytes=1)) as (proxy, there):

        async def cut() -> None:
            for pipe in list(proxy._pipes):
                pipe.cancel()
            await asyncio.wait(proxy._pipes)

        told = runtime.run("following.wokenUp", proxy.url, answer=lambda _question: there.do(cut()))
    assert told["status"] == "succeeded"
    assert told["waitedMs"] < told["retryInMs"] / 2


def all_jobs(server: ThreadServer) -> list[dict[str, Any]]:
    with server.client() as http:
        page = http.get("/v1/jobs", params={"limit": 200}).json()
    assert "next" not in page
    jobs: list[dict[str, Any]] = page["jobs"]
    return jobs
