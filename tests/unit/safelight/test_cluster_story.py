"""A verdict that could not be a bad one would be worth nothing."""

import asyncio
import hashlib
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from PIL import Image

from protocol.events import Event, EventBody, JobQueued, JobRequeued, JobStarted, JobSucceeded, OutputReady
from protocol.requests import Priority, TaskName
from safelight import cluster_story
from safelight.cluster_story import Shown, Story
from safelight.local_cluster import LocalCluster, Member
from safelight.roaming import RoamingViewer

GATEWAY = Member("gateway-1", cast("Process", None), "http://127.0.0.1:1", Path())
CLUSTER = LocalCluster((), (GATEWAY,), ())


def told(path: Path) -> OutputReady:
    content = path.read_bytes()
    return OutputReady(
        index=0,
        url="/",
        media_type="image/png",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        width=8,
        height=8,
    )


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    """Of one job, which lost its worker and its viewer's gateway, and came out well."""
    picture = tmp_path / "picture.png"
    Image.new("RGB", (8, 8), "red").save(picture)
    bodies: list[EventBody] = [
        JobQueued(task=TaskName.UPSCALE, priority=Priority.NORMAL),
        JobStarted(worker="worker-1-a", device="cpu", attempt=1),
        JobRequeued(attempt=2, reason="lost"),
        JobStarted(worker="worker-2-b", device="cpu", attempt=2),
        told(picture),
        JobSucceeded(duration_s=1.0),
    ]
    viewer = RoamingViewer(CLUSTER, "job", GATEWAY)
    viewer.facts = [Event(body, at=f"t{seq}", job_id="job", seq=seq) for seq, body in enumerate(bodies, 1)]
    viewer.heard = [fact.seq for fact in viewer.facts]
    viewer.resumed_after = [2]
    stored = [(fact.seq, fact.type, fact.at) for fact in viewer.facts]

    async def as_stored(_cluster: LocalCluster, _job_id: str) -> list[tuple[int, str, str]]:
        return stored

    monkeypatch.setattr(cluster_story, "_stored", as_stored)
    job = Shown("a job", viewer, ["worker-1", "worker-2"], [picture])
    return Story(1, 1, [job], "worker-1", [job], "gateway-1", [job])


def verdicts(story: Story) -> list[bool]:
    """Ends, facts, pictures, worker, gateway."""
    return [finding.is_well for finding in asyncio.run(story.findings(CLUSTER))]


def test_what_came_out_well_is_said_to_be_well(story: Story) -> None:
    assert verdicts(story) == [True] * 5


def hear_twice(story: Story) -> None:
    story.jobs[0].viewer.heard.append(6)


def miss_one(story: Story) -> None:
    viewer = story.jobs[0].viewer
    del viewer.heard[3], viewer.facts[3]


def hear_another_time(story: Story) -> None:
    fact = story.jobs[0].viewer.facts[3]
    story.jobs[0].viewer.facts[3] = Event(fact.body, at="later", job_id="job", seq=fact.seq)


def end_twice(story: Story) -> None:
    viewer = story.jobs[0].viewer
    viewer.facts.append(Event(JobSucceeded(duration_s=2.0), at="t7", job_id="job", seq=7))
    viewer.heard.append(7)


def cut_short(story: Story) -> None:
    viewer = story.jobs[0].viewer
    del viewer.facts[-1], viewer.heard[-1]


def damage_picture(story: Story) -> None:
    Image.new("RGB", (8, 8), "blue").save(story.jobs[0].outputs[0])


def lose_picture(story: Story) -> None:
    story.jobs[0].outputs.clear()


def go_on_with_nobody(story: Story) -> None:
    del story.jobs[0].workers[1:]


def kill_no_worker(story: Story) -> None:
    story.orphans.clear()


def lose_it_to_nobody(story: Story) -> None:
    viewer = story.jobs[0].viewer
    del viewer.facts[2], viewer.heard[2]


def stay_at_the_gateway(story: Story) -> None:
    story.jobs[0].viewer.resumed_after.clear()


def kill_no_gateway(story: Story) -> None:
    story.left.clear()


def lose_job(story: Story) -> None:
    story.expected = 2


@pytest.mark.parametrize(
    ("spoil", "bad"),
    [
        (hear_twice, {1}),
        (miss_one, {1}),
        (hear_another_time, {1}),
        (end_twice, {0, 1}),
        (cut_short, {0, 1, 3, 4}),
        (damage_picture, {2}),
        (lose_picture, {2}),
        (go_on_with_nobody, {3}),
        (kill_no_worker, {3}),
        (lose_it_to_nobody, {1, 3}),
        (stay_at_the_gateway, {4}),
        (kill_no_gateway, {4}),
        (lose_job, {0, 2}),
    ],
)
def test_what_went_wrong_is_said(story: Story, spoil: Callable[[Story], None], bad: set[int]) -> None:
    spoil(story)
    assert {place for place, is_well in enumerate(verdicts(story)) if not is_well} == bad
