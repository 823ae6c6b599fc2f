"""`safelight demo --cluster`: a cluster on this machine that loses a worker and a gateway, and nothing else.

Jobs go in at two gateways and are watched there. A worker is killed in the middle of a job: another one goes on with
it. A gateway is killed: its viewers go on at the other one, after the last fact they have. At the end everything is
counted, and compared with what the gateway that is left has stored.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from protocol.events import Event, JobStarted
from safelight.client import AsyncClient
from safelight.cluster_board import ClusterBoard, cluster_board_for
from safelight.cluster_story import Shown, Story
from safelight.demo_pictures import contact_sheet
from safelight.errors import SafelightError
from safelight.local_cluster import WORKER_LOST_S, LocalCluster, Member, running_cluster
from safelight.roaming import RoamingViewer
from safelight.watching import ExitCode
from safelight.wording import seconds

GATEWAYS: Final = 2
WORKERS: Final = 3
PROMPTS: Final = (
    "a red apple", "a blue fish", "a purple rocket", "a yellow star", "a green car", "a pink tulip",
    "an orange cat", "a blue umbrella", "a red heart", "a yellow lemon", "a green tent", "a purple whale",
)  # fmt: skip
LATER_PROMPTS: Final = ("a blue balloon", "a red rose on a blue background")
"""Submitted when one gateway has gone."""
IMAGES: Final = 2
STEPS: Final = 40
SEED: Final = 7
_SHOW_S: Final = 100.0
"""It takes half of this on two cores; whoever needs longer is stuck."""
_SETTINGS: Final = {
    "SAFELIGHT_CPU_THREADS": "1",
    "SAFELIGHT_MAX_LIVE_JOBS": "2",  # so that some wait, and all workers have some
    "SAFELIGHT_FAKE_STEP_S": "0.1",
}


async def run_cluster_demo(console: Console, folder: Path, models_dir: Path, engine: str) -> ExitCode:
    """Show it, write the pictures, and say whether anything was lost.

    Args:
        folder: of the pictures; made if it is not there.
        engine: for `safelight worker --engine`.

    Raises:
        ProgramMissing, ServerDidNotStart.
    """
    console.print(f"starting NATS, an object store, {GATEWAYS} gateways and {WORKERS} workers ...", highlight=False)
    began_at = time.monotonic()
    async with (
        _ended_by_signals(),
        running_cluster(
            gateways=GATEWAYS, workers=WORKERS, models_dir=models_dir, engine=engine, settings=_SETTINGS
        ) as cluster,
    ):
        console.print(f"ready after {seconds(time.monotonic() - began_at)}", highlight=False)
        for gateway in cluster.gateways:
            console.print(f"{gateway.name}: {gateway.url}", highlight=False)
        with cluster_board_for(console, cluster) as board:
            show = _Show(cluster, board, folder)
            try:
                async with asyncio.timeout(_SHOW_S):
                    await show.run()
            except TimeoutError:
                board.say(f"not everything has ended within {_SHOW_S:g} s", "bold red")
            findings = await show.story.findings(cluster)
        for finding in findings:
            mark, style = ("ok    ", "green") if finding.is_well else ("FAILED", "bold red")
            console.print(Text.assemble((mark, style), f"  {finding.text}"))
    return ExitCode.OK if all(finding.is_well for finding in findings) else ExitCode.JOB_FAILED


@asynccontextmanager
async def _ended_by_signals() -> AsyncIterator[None]:
    """Within it, a request to end is like Ctrl-C: the cluster is taken down first."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    was_asked: list[int] = []

    def end(number: int) -> None:
        was_asked.append(number)
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    try:
        yield
    except asyncio.CancelledError:
        if was_asked:
            raise SafelightError("told to end before it was over") from None
        raise
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)


class _Show:
    def __init__(self, cluster: LocalCluster, board: ClusterBoard, folder: Path) -> None:
        self._cluster = cluster
        self._board = board
        self._folder = folder
        self._viewing: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self.story = Story(len(PROMPTS) + len(LATER_PROMPTS), IMAGES)

    async def run(self) -> None:
        """Submit, kill, and wait for the end of everything."""
        try:
            for number, prompt in enumerate(PROMPTS):
                await self._submit(prompt, self._cluster.gateways[number % GATEWAYS])
            await self._kill_worker()
            await self._kill_gateway()
            for prompt in LATER_PROMPTS:
                await self._submit(prompt, self._cluster.gateways[0])
            await asyncio.gather(*self._viewing)
            self._folder.mkdir(parents=True, exist_ok=True)
            for job in self.story.jobs:
                await self._fetch(job)
            await asyncio.to_thread(self._draw)
        finally:
            for viewing in self._viewing:
                viewing.cancel()
            await asyncio.gather(*self._viewing, return_exceptions=True)

    # ---- jobs and viewers ------------------------------------------------------------------------------------

    async def _submit(self, prompt: str, gateway: Member) -> None:
        """At that gateway, or at the next one if it has gone."""
        if not gateway.is_alive:
            gateway = self._living()
        async with AsyncClient(gateway.url) as client:
            job = await client.submit(
                "text_to_image", prompt=prompt, seed=SEED, images=IMAGES, steps=STEPS, previews="none"
            )
        viewer = RoamingViewer(self._cluster, job.id, gateway, lambda _next: self._moved(viewer))
        shown = Shown(prompt, viewer)
        self.story.jobs.append(shown)
        self._board.add(job.id, prompt, gateway)
        self._viewing.append(asyncio.create_task(self._view(shown), name=f"viewer of {prompt}"))

    async def _view(self, job: Shown) -> None:
        async for event in job.viewer.events():
            self._board.update(event)
            if isinstance(event.body, JobStarted):
                job.workers.append(self._name_of(event))
            self._changed.set()

    def _moved(self, viewer: RoamingViewer) -> None:
        self._board.moved(viewer.job_id, viewer.gateway, viewer.resumed_after[-1])

    def _name_of(self, event: Event) -> str:
        assert isinstance(event.body, JobStarted)
        worker = self._cluster.worker(event.body.worker)
        return worker.name if worker else event.body.worker

    def _living(self) -> Member:
        return next(gateway for gateway in self._cluster.gateways if gateway.is_alive)

    async def _until(self, is_true: Callable[[], bool]) -> None:
        """Wait until what the viewers have heard makes something true."""
        while not is_true():
            self._changed.clear()
            await self._changed.wait()

    # ---- killing ---------------------------------------------------------------------------------------------

    async def _kill_worker(self) -> None:
        """One that is in the middle of a job, with one of its pictures made, and watched at the first gateway."""
        await self._until(lambda: self._halfway() is not None)
        halfway = self._halfway()
        assert halfway is not None
        name = halfway.workers[-1]
        jobs = [job for job in self.story.jobs if job.workers[-1:] == [name] and not job.viewer.has_ended]
        self.story.lost_worker, self.story.orphans = name, jobs
        titles = " and ".join(job.title for job in jobs)
        self._board.say(f"kill -9 {name}, which is at {titles}; others take over after {WORKER_LOST_S:g} s", "bold red")
        await next(worker for worker in self._cluster.workers if worker.name == name).kill()

    def _halfway(self) -> Shown | None:
        return next(
            (
                job
                for job in self.story.jobs
                if job.viewer.gateway is self._cluster.gateways[0]
                and job.workers
                and len(job.ready) in range(1, IMAGES)
                and not job.viewer.has_ended
            ),
            None,
        )

    async def _kill_gateway(self) -> None:
        """The one at which jobs are watched that have lost their worker: their viewers learn the rest elsewhere."""
        ended = sum(job.viewer.has_ended for job in self.story.jobs)
        await self._until(lambda: sum(job.viewer.has_ended for job in self.story.jobs) > min(ended, len(PROMPTS) // 3))
        gateway = self._cluster.gateways[0]
        left = [job for job in self.story.jobs if job.viewer.gateway is gateway and not job.viewer.has_ended]
        self.story.lost_gateway, self.story.left = gateway.name, left
        self._board.say(f"kill -9 {gateway.name}, at which {len(left)} viewers watch", "bold red")
        await gateway.kill()

    # ---- pictures --------------------------------------------------------------------------------------------

    async def _fetch(self, job: Shown) -> None:
        async with AsyncClient(self._living().url) as client:
            for output in (await client.get(job.viewer.job_id)).outputs:
                number = f"-{output.index + 1}" if IMAGES > 1 else ""
                path = self._folder / f"{job.title.replace(' ', '-')}{number}{output.suffix}"
                await output.save(path)
                job.outputs.append(path)

    def _draw(self) -> None:
        pictures = [(job.title, " > ".join(job.workers), path) for job in self.story.jobs for path in job.outputs[-1:]]
        sheet = self._folder / "cluster.png"
        contact_sheet(pictures, sheet)
        count = sum(len(job.outputs) for job in self.story.jobs)
        self._board.say(f"wrote {count} pictures and {sheet}", "green")
