"""`/tasks`: the groups, pages and ranges; deletion; and whose tasks they are."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.auth import Scope, add_key
from tests.dialects.fooocus_api.callers import local
from tests.dialects.fooocus_engine.callers import (
    CONTROL,
    GENERATE,
    PROFILE,
    TASKS,
    begin,
    generated,
    groups,
    job_id,
    task,
)
from tests.dialects.jobs import ended, until
from tests.dialects.pictures import b64, png
from tests.servers import thread_server


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [each["task_id"] for each in found]


@pytest.fixture
def fresh(tmp_path: Path) -> Any:
    with thread_server(tmp_path / "data", listen=PROFILE) as server, server.client() as client:
        yield client


def test_each_task_is_in_the_group_where_it_stands_and_only_asked_groups_are_filled(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fake_step_s=0.1, max_live_jobs=1) as server,
        server.client() as client,
    ):
        done = generated(client)["task_id"]
        running = begin(client, image_number=8)
        until(client, job_id(running), "step.finished")
        waiting = [begin(client), begin(client)]
        every = groups(client)
        assert ids(every["history"]) == [running, done], "the newest first; one that runs with nulls"
        assert every["history"][0]["task_status"] is None
        assert ids(every["current"]) == [running]
        assert every["current"][0]["progress"] > 0
        assert ids(every["pending"]) == waiting, "in their order"
        for group in ("history", "current", "pending"):
            told = groups(client, query=group)
            assert ids(told.pop(group)) == ids(every[group])
            assert set(map(len, told.values())) == {0}
        for each in (running, *waiting):
            client.post(CONTROL, params={"action": "stop", "task_id": each}).raise_for_status()
        for each in (running, *waiting):
            ended(client, job_id(each))
        assert ids(groups(client)["history"]) == [*reversed(waiting), running, done]


def test_two_running_tasks_are_told_apart(slow_client: httpx.Client) -> None:
    """In the original all who polled shared one object."""
    first, second = begin(slow_client, prompt="first", image_number=4), begin(slow_client, prompt="second")
    for each in (first, second):
        until(slow_client, job_id(each), "step.finished")
    told = {each["task_id"]: each["req_params"]["prompt"] for each in groups(slow_client, query="current")["current"]}
    assert told.get(first) == "first"
    assert task(slow_client, second)["req_params"]["prompt"] == "second"


def test_the_history_comes_in_pages_and_a_range_whole_and_oldest_first(fresh: httpx.Client) -> None:
    made = [generated(fresh)["task_id"] for _ in range(3)]
    assert ids(groups(fresh, query="history", page_size=2)["history"]) == [made[2], made[1]]
    assert ids(groups(fresh, query="history", page_size=2, page=1)["history"]) == [made[0]]
    assert groups(fresh, query="history", page=9)["history"] == []
    since = "2020-01-01T00:00:00"
    assert ids(groups(fresh, query="history", start_at=since, page_size=1)["history"]) == made
    assert groups(fresh, query="history", start_at=since, end_at="2020-01-02T00:00:00")["history"] == []


def test_times_are_of_the_wall_unless_they_name_a_zone(fresh: httpx.Client) -> None:
    made = generated(fresh)["task_id"]
    soon, recently = datetime.now() + timedelta(minutes=1), datetime.now() - timedelta(minutes=1)
    for start, end in (
        (recently.isoformat(), soon.isoformat()),
        (recently.astimezone(UTC).isoformat(), soon.astimezone(UTC).isoformat()),
    ):
        assert ids(groups(fresh, start_at=start, end_at=end)["history"]) == [made]
    assert groups(fresh, end_at=recently.isoformat())["history"] == []


def test_what_cannot_be_read_of_a_query_is_named(fresh: httpx.Client) -> None:
    for params, place in (({"start_at": "yesterday"}, "start_at"), ({"page": "x"}, "page"), ({"query": "x"}, "query")):
        answer = fresh.get(TASKS, params=params)
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["query", place]
        assert set(answer.json()) == {"detail"}


def test_a_range_is_deleted_with_its_pictures_and_nothing_else_is(fresh: httpx.Client) -> None:
    first = generated(fresh)
    assert fresh.get(TASKS, params={"action": "delete"}).json() is None
    assert ids(groups(fresh)["history"]) == [first["task_id"]], "without a range nothing is"
    long_ago = {"action": "delete", "end_at": "2020-01-01T00:00:00"}
    fresh.get(TASKS, params=long_ago).raise_for_status()
    assert fresh.get(local(first["result"][0])).status_code == 200
    fresh.get(TASKS, params={"action": "delete", "start_at": "2020-01-01T00:00:00"}).raise_for_status()
    assert groups(fresh)["history"] == []
    assert task(fresh, first["task_id"]) == []
    assert fresh.get(local(first["result"][0])).status_code == 404


def test_a_running_task_is_not_deleted(slow_client: httpx.Client) -> None:
    running = begin(slow_client)
    until(slow_client, job_id(running), "step.finished")
    slow_client.get(TASKS, params={"action": "delete", "start_at": "2020-01-01T00:00:00"}).raise_for_status()
    assert ended(slow_client, job_id(running))["status"] == "succeeded"
    assert task(slow_client, running)["task_status"] == "finished"


def test_a_task_is_found_by_its_id_with_and_without_dashes(client: httpx.Client) -> None:
    record = generated(client)
    for name in (record["task_id"], job_id(record["task_id"])):
        assert task(client, name) == record
    for name in ("nope", record["task_id"][:-1], record["task_id"].upper(), "0" * 32):
        answer = client.get(f"{TASKS}/{name}")
        assert (answer.status_code, answer.json()) == (200, [])


def test_the_number_of_a_task_rises_and_can_be_held_by_javascript(client: httpx.Client) -> None:
    numbers = [generated(client)["id"] for _ in range(3)]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] < 2**53


def test_tasks_survive_a_restart_also_those_that_waited(tmp_path: Path) -> None:
    """In the original the queue was lost, and its rows stayed as they were."""
    settings: dict[str, Any] = {"listen": PROFILE, "max_live_jobs": 1}
    with thread_server(tmp_path / "data", fake_step_s=0.2, **settings) as server, server.client() as client:
        done = generated(client)
        running = begin(client, image_number=2)
        until(client, job_id(running), "step.finished")
        waiting = begin(client)
    with thread_server(tmp_path / "data", **settings) as server, server.client() as client:
        for each in (running, waiting):
            assert ended(client, job_id(each))["status"] == "succeeded"
            assert task(client, each)["task_status"] == "finished"
        assert ids(groups(client)["history"]) == [waiting, running, done["task_id"]]
        assert client.get(local(done["result"][0])).status_code == 200


def test_everybody_sees_and_ends_tasks_of_their_own(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, api={"keys": ["alice", "bob"]}, fake_step_s=0.1) as server,
        server.client(headers={"X-API-KEY": "alice"}) as alice,
        server.client(headers={"X-API-KEY": "bob"}) as bob,
    ):
        running = begin(alice, image_number=2)
        until(alice, job_id(running), "step.finished")
        assert groups(bob) == {"history": [], "current": [], "pending": []}
        assert task(bob, running) == []
        assert bob.post(CONTROL, params={"action": "stop"}).json() == {"message": "No task running"}
        assert bob.post(CONTROL, params={"action": "stop", "task_id": running}).status_code == 404
        bob.get(TASKS, params={"action": "delete", "start_at": "2020-01-01T00:00:00"}).raise_for_status()
        assert ended(alice, job_id(running))["status"] == "succeeded"
        bob.get(TASKS, params={"action": "delete", "start_at": "2020-01-01T00:00:00"}).raise_for_status()
        assert task(alice, running)["task_status"] == "finished"


@pytest.mark.parametrize("is_same", [False, True])
def test_a_seed_that_nobody_chose_is_told_from_the_beginning_on(slow_client: httpx.Client, is_same: bool) -> None:
    """Also where the first picture is skipped."""
    running = begin(slow_client, image_number=2, image_seed=-1, disable_seed_increment=is_same)
    until(slow_client, job_id(running), "step.finished")
    shown = task(slow_client, running)
    assert (shown["task_status"], shown["result"]) == ("running", [])
    slow_client.post(CONTROL, params={"action": "skip"}).raise_for_status()
    (made,) = ended(slow_client, job_id(running))["outputs"]
    first = made["seed"] - (0 if is_same else 1)
    assert shown["req_params"]["image_seed"] == first
    assert task(slow_client, running)["req_params"]["image_seed"] == first


def test_a_task_without_a_seed_shows_none(client: httpx.Client) -> None:
    fast = generated(client, uov_input_image=b64(png()), uov_method="Upscale (Fast 2x)", image_seed=-1)
    assert fast["req_params"]["image_seed"] == -1


def test_a_key_that_may_only_read_changes_nothing(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    settings: dict[str, Any] = {"listen": PROFILE, "api": {"keys": ["k"]}}
    data_dir.mkdir()
    reader = add_key(data_dir, "reader", [Scope.JOBS_READ])
    with thread_server(data_dir, **settings) as server, server.client(headers={"X-API-KEY": reader}) as client:
        assert groups(client) == {"history": [], "current": [], "pending": []}
        for method, path in (
            ("GET", f"{TASKS}?action=delete&start_at=2020-01-01T00:00:00"),
            ("POST", f"{CONTROL}?action=stop"),
            ("POST", GENERATE),
        ):
            assert client.request(method, path, json={}).status_code == 403
