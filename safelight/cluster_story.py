"""What happened to a cluster that was shown: its jobs, whoever was killed, and whether anything was lost."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from protocol.events import JobRequeued, OutputReady
from safelight.client import AsyncClient
from safelight.errors import SafelightError
from safelight.local_cluster import LocalCluster
from safelight.roaming import RoamingViewer


@dataclass(slots=True)
class Shown:
    """A job and its viewer.

    Attributes:
        workers: the names of those that began it, one after another.
        outputs: its pictures, as files.
    """

    title: str
    viewer: RoamingViewer
    workers: list[str] = field(default_factory=list)
    outputs: list[Path] = field(default_factory=list)

    @property
    def ready(self) -> list[OutputReady]:
        """The outputs it has told of, in order."""
        return [fact.body for fact in self.viewer.facts if isinstance(fact.body, OutputReady)]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at in the end."""

    is_well: bool
    text: str


@dataclass(slots=True)
class Story:
    """See the module.

    Attributes:
        expected: how many jobs there were to be.
        images: of each job.
        lost_worker, lost_gateway: the names of those that were killed.
        orphans: jobs that had not ended when their worker was killed.
        left: jobs that were watched at the gateway when it was killed.
    """

    expected: int
    images: int
    jobs: list[Shown] = field(default_factory=list)
    lost_worker: str = ""
    orphans: list[Shown] = field(default_factory=list)
    lost_gateway: str = ""
    left: list[Shown] = field(default_factory=list)

    async def findings(self, cluster: LocalCluster) -> Sequence[Finding]:
        """What became of everything, as far as it got."""
        return [self._ends(), await self._facts(cluster), self._pictures(), self._taken_over(), self._resumed()]

    def _ends(self) -> Finding:
        well = sum(
            [fact.type for fact in job.viewer.facts if fact.is_terminal] == ["job.succeeded"] and job.viewer.has_ended
            for job in self.jobs
        )
        text = f"{well} of {self.expected} jobs have succeeded, each with one terminal fact, its last"
        return Finding(well == self.expected == len(self.jobs), text)

    async def _facts(self, cluster: LocalCluster) -> Finding:
        """What the viewers heard, repeats and all, beside what a gateway that is left has stored."""
        heard = sum(len(job.viewer.heard) for job in self.jobs)
        wrong = []
        for job in self.jobs:
            stored = await _stored(cluster, job.viewer.job_id)
            told = [(fact.seq, fact.type, fact.at) for fact in job.viewer.facts]
            seqs = [seq for seq, _, _ in told]
            if not (seqs == job.viewer.heard == list(range(1, len(told) + 1)) and told == stored):
                wrong.append(job.title)
        if wrong:
            return Finding(False, f"facts were lost, doubled or otherwise than stored: {', '.join(wrong)}")
        return Finding(bool(heard), f"{heard} facts heard by the viewers, none lost, none doubled")

    def _pictures(self) -> Finding:
        whole = sum(
            _is_whole(path, told) for job in self.jobs for path, told in zip(job.outputs, job.ready, strict=False)
        )
        expected = self.expected * self.images
        return Finding(whole == expected, f"{whole} of {expected} pictures whole, of the checksums told")

    def _taken_over(self) -> Finding:
        """Some had perhaps ended, and nobody had heard of it yet."""
        lost = [job for job in self.orphans if any(isinstance(fact.body, JobRequeued) for fact in job.viewer.facts)]
        if not lost:
            return Finding(False, "no worker was killed in the middle of a job")
        well = sum(job.viewer.has_ended and job.workers[-1] != self.lost_worker for job in lost)
        text = f"{self.lost_worker} killed: {well} of its {len(lost)} jobs finished by other workers"
        return Finding(well == len(lost) and _have_ended(self.orphans), text)

    def _resumed(self) -> Finding:
        """Some had perhaps the end of their job on the way to them."""
        went_on = [job for job in self.left if job.viewer.resumed_after]
        if not went_on:
            return Finding(False, "no gateway was killed at which a job was watched")
        well = sum(job.viewer.has_ended for job in went_on)
        text = f"{self.lost_gateway} killed: {well} of its {len(went_on)} viewers went on at another, by seq"
        return Finding(well == len(went_on) and _have_ended(self.left), text)


def _have_ended(jobs: Sequence[Shown]) -> bool:
    return all(job.viewer.has_ended for job in jobs)


async def _stored(cluster: LocalCluster, job_id: str) -> list[tuple[int, str, str]]:
    """Seq, type and time of each fact of a job, as a gateway that is alive replays them; nothing if none does."""
    gateway = next((gateway for gateway in cluster.gateways if gateway.is_alive), None)
    if gateway is None:
        return []
    try:
        async with AsyncClient(gateway.url) as client:
            job = await client.get(job_id)
            if not job.status.is_terminal:
                return []
            return [(fact.seq, fact.type, fact.at) async for fact in job.events() if fact.is_fact]
    except SafelightError:
        return []


def _is_whole(path: Path, told: OutputReady) -> bool:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != told.sha256:
        return False
    with Image.open(path) as picture:
        picture.load()
        return picture.size == (told.width, told.height)
