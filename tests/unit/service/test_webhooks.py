import asyncio
import stat
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from protocol.events import Event, JobSucceeded
from service.outbound import Refused
from service.settings import Settings, SettingsError
from service.webhooks import SECRET_FILE, Webhooks, pause_s, stored_secret

pytestmark = pytest.mark.anyio
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DEADLINE_S = 10.0
EVENT = {
    "type": "job.succeeded",
    "job_id": "j1",
    "seq": 4,
    "at": "2026-01-01T00:00:00.000Z",
    "data": {"duration_s": 1.0},
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Table:
    """An outbox in memory that notes what became of each row."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.ends: dict[str, str] = {}
        self.retries: list[tuple[str, int, float]] = []
        self.is_broken = False
        self.looked = 0
        self.changed = asyncio.Condition()

    def add(self, number: int, url: str = "https://a.test/hook", next_at: float = 0.0) -> str:
        name = f"msg_{number}"
        event = orjson.dumps(EVENT).decode()
        self.rows[name] = {"id": name, "job_id": "j1", "url": url, "event": event, "attempt": 0, "next_at": next_at}
        return name

    async def due_webhooks(self, now: float, limit: int) -> Sequence[Mapping[str, Any]]:
        self.looked += 1
        await self._tell()
        if self.is_broken:
            raise OSError("disk full")
        due = sorted((row for row in self.rows.values() if row["next_at"] <= now), key=lambda row: row["next_at"])
        return [dict(row) for row in due[:limit]]

    async def next_webhook_at(self) -> float | None:
        return min((row["next_at"] for row in self.rows.values()), default=None)

    async def retry_webhook(self, webhook_id: str, attempt: int, next_at: float) -> None:
        self.rows[webhook_id].update(attempt=attempt, next_at=next_at)
        self.retries.append((webhook_id, attempt, next_at - time.time()))
        await self._tell()

    async def delete_webhook(self, webhook_id: str) -> None:
        del self.rows[webhook_id]
        self.ends[webhook_id] = "delivered"
        await self._tell()

    async def give_up_webhook(self, webhook_id: str, reason: str) -> None:
        del self.rows[webhook_id]
        self.ends[webhook_id] = reason
        await self._tell()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S), self.changed:
            await self.changed.wait_for(condition)

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()


@dataclass
class Answer:
    status_code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class World:
    """The receivers: answers by host, in order, the last one for good; a gate where one is slow."""

    def __init__(self, **answers: Sequence[Answer | Exception]) -> None:
        self.answers = {name: list(given) for name, given in answers.items()}
        self.gates: dict[str, asyncio.Event] = {}
        self.posts: list[tuple[str, Mapping[str, str], bytes]] = []
        self.in_flight: dict[str, int] = defaultdict(int)
        self.most: dict[str, int] = defaultdict(int)
        self.is_closed = False

    @asynccontextmanager
    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes, timeout_s: float
    ) -> AsyncIterator[Answer]:
        assert method == "POST"
        host = url.split("/")[2].removesuffix(".test")
        self.posts.append((url, headers, content))
        self.in_flight[host] += 1
        self.most[host] = max(self.most[host], self.in_flight[host])
        try:
            if host in self.gates:
                await self.gates[host].wait()
            given = self.answers.get(host, [Answer()])
            answer = given.pop(0) if len(given) > 1 else given[0]
            if isinstance(answer, Exception):
                raise answer
            yield answer
        finally:
            self.in_flight[host] -= 1

    async def aclose(self) -> None:
        self.is_closed = True


@asynccontextmanager
async def delivering(table: Table, world: World, **settings: object) -> AsyncIterator[Webhooks]:
    chosen = {**Settings().model_dump(), "webhook_secret": SECRET, **settings}
    webhooks = Webhooks(Settings.model_validate(chosen), table, outbound=world, pause=lambda attempt: 0.01 * attempt)  # type: ignore[arg-type]
    running = asyncio.create_task(webhooks.run())
    try:
        yield webhooks
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert world.is_closed


async def test_a_row_is_posted_once_signed_and_forgotten() -> None:
    table, world = Table(), World()
    name = table.add(1)
    async with delivering(table, world):
        await table.until(lambda: name in table.ends)
    ((url, headers, content),) = world.posts
    assert url == "https://a.test/hook"
    assert headers["webhook-id"] == name
    told = Verifier(SECRET).verify(content, dict(headers))
    assert told == {"type": "job.succeeded", "timestamp": EVENT["at"], "data": EVENT}
    assert table.ends == {name: "delivered"}


@pytest.mark.parametrize("failure", [Answer(500), Answer(301), Answer(404), Refused("no answer"), TimeoutError()])
async def test_a_failure_is_tried_again_under_the_same_id(failure: Answer | Exception) -> None:
    table, world = Table(), World(a=[failure, failure, Answer(204)])
    name = table.add(1)
    results: list[str] = []
    async with delivering(table, world) as webhooks:
        webhooks.on_result = results.append
        await table.until(lambda: name in table.ends)
    assert [headers["webhook-id"] for _, headers, _ in world.posts] == [name] * 3
    assert [attempt for _, attempt, _ in table.retries] == [1, 2]
    assert results == ["failed", "failed", "delivered"]


async def test_after_the_last_attempt_it_is_given_up_with_the_reason() -> None:
    table, world = Table(), World(a=[Answer(503)])
    name = table.add(1)
    async with delivering(table, world, webhook_max_attempts=3):
        await table.until(lambda: name in table.ends)
    assert len(world.posts) == 3
    assert "503" in table.ends[name]


async def test_gone_means_never_again() -> None:
    table, world = Table(), World(a=[Answer(410)])
    name = table.add(1)
    async with delivering(table, world):
        await table.until(lambda: name in table.ends)
    assert len(world.posts) == 1
    assert "410" in table.ends[name]


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [("120", 119, 121), ("Wed, 01 Jan 2200 00:00:00 GMT", 6 * 3600 - 1, 6 * 3600 + 1), ("soon", 0, 1), ("-5", 0, 1),
     ("9" * 30, 6 * 3600 - 1, 6 * 3600 + 1), ("Wed, 01 Jan 2020 00:00:00 GMT", 0, 1)],
)  # fmt: skip
async def test_retry_after_is_obeyed_within_reason(text: str, least: float, most: float) -> None:
    table, world = Table(), World(a=[Answer(429, {"retry-after": text})])
    table.add(1)
    async with delivering(table, world):
        await table.until(lambda: bool(table.retries))
    assert least <= table.retries[0][2] <= most


async def test_a_receiver_that_hangs_delays_nobody_else() -> None:
    table, world = Table(), World()
    world.gates["slow"] = asyncio.Event()
    for number in range(600):  # more than a page, all older than the one that matters
        table.add(number, "https://slow.test/", next_at=float(number) / 1000)
    name = table.add(1000, "https://quick.test/", next_at=1.0)
    async with delivering(table, world):
        await table.until(lambda: name in table.ends)
        assert world.in_flight["slow"] == world.most["slow"] <= 4
        assert not any(post[0] != "https://quick.test/" for post in world.posts[world.most["slow"] :])


async def test_a_slow_answer_is_cut_off_at_the_timeout() -> None:
    table, world = Table(), World()
    world.gates["a"] = asyncio.Event()
    name = table.add(1)
    async with delivering(table, world, webhook_timeout_s=0.02, webhook_max_attempts=1):
        await table.until(lambda: name in table.ends)
    assert "0.02 s" in table.ends[name]


async def test_a_row_added_while_nothing_waits_is_delivered_at_once_when_it_is_told() -> None:
    table, world = Table(), World()
    first = table.add(1)
    async with delivering(table, world) as webhooks:
        await table.until(lambda: first in table.ends)
        second = table.add(2)
        webhooks.wake()
        await table.until(lambda: second in table.ends)


async def test_a_broken_outbox_stops_nothing_and_a_delivery_that_cannot_be_noted_is_not_repeated_at_once() -> None:
    table, world = Table(), World()
    table.is_broken = True
    table.add(1)

    async def broken(webhook_id: str) -> None:
        raise OSError("disk full")

    async with delivering(table, world) as webhooks:
        await table.until(lambda: table.looked == 1)
        table.is_broken = False
        table.delete_webhook = broken  # type: ignore[method-assign]
        for look in range(2, 7):
            webhooks.wake()
            await table.until(lambda look=look: table.looked >= look)
    assert len(world.posts) == 1


async def test_a_job_of_a_dialect_is_told_of_in_its_form_and_in_ours_where_that_says_nothing() -> None:
    table, world = Table(), World()
    told, other, unknown = (table.add(number) for number in range(3))
    table.rows[told]["dialect"] = table.rows[other]["dialect"] = "foreign"
    table.rows[unknown]["dialect"] = "unknown"
    table.rows[other]["job_id"] = "other"

    async def form(job_id: str, event: Mapping[str, Any]) -> bytes | None:
        return None if job_id == "other" else orjson.dumps({"id": job_id, "status": event["type"]})

    async with delivering(table, world) as webhooks:
        webhooks.forms["foreign"] = form
        webhooks.wake()
        await table.until(lambda: not table.rows)
    bodies = [orjson.loads(body) for _, _, body in world.posts]
    ours = {"type": EVENT["type"], "timestamp": EVENT["at"], "data": EVENT}
    assert bodies.count({"id": "j1", "status": "job.succeeded"}) == 1
    assert bodies.count(ours) == 2


async def test_only_a_fact_of_a_job_with_a_webhook_wakes_it() -> None:
    class Job:
        webhook: object = None

    table = Table()
    webhooks = Webhooks(Settings(webhook_secret=SECRET), table, outbound=World())  # type: ignore[arg-type]
    fact = Event(JobSucceeded(duration_s=1.0), at=EVENT["at"], job_id="j1", seq=4)  # type: ignore[arg-type]
    webhooks.published(fact, None)
    webhooks.published(fact, Job())  # type: ignore[arg-type]
    assert not webhooks._wake.is_set()
    with_webhook = Job()
    with_webhook.webhook = object()
    webhooks.published(fact, with_webhook)  # type: ignore[arg-type]
    assert webhooks._wake.is_set()


def test_pauses_grow_from_seconds_to_hours_and_differ() -> None:
    for attempt, expected_s in ((1, 5), (2, 20), (3, 80), (20, 6 * 3600), (1000, 6 * 3600)):
        pauses = [pause_s(attempt) for _ in range(50)]
        assert all(0.79 * expected_s < pause < 1.21 * expected_s for pause in pauses)
        assert len(set(pauses)) > 1


def test_the_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    secret = stored_secret(tmp_path / "data")
    path = tmp_path / "data" / SECRET_FILE
    assert secret.startswith("whsec_")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stored_secret(tmp_path / "data") == secret
    assert list(path.parent.iterdir()) == [path]
    assert stored_secret(tmp_path / "other") != secret


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_a", "hunter2!é"])
def test_a_secret_that_is_none_is_refused_by_name(secret: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="webhook_secret"):
        Webhooks(Settings(webhook_secret=secret), Table(), outbound=World())  # type: ignore[arg-type]
    (tmp_path / SECRET_FILE).write_text(secret)
    with pytest.raises(SettingsError, match=SECRET_FILE):
        stored_secret(tmp_path)
