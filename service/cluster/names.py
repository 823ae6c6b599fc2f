"""What the streams, subjects and buckets of one cluster are called. Several clusters may share a NATS.

<cluster>.facts.<job>                                   stream <CLUSTER>_FACTS
<cluster>.notes.<what>.<job>                            the same stream: no facts, but all gateways have to know
<cluster>.work.<class>.<share>.<model>.<job>            stream <CLUSTER>_WORK
<cluster>.hints.<key>.<job>                             core NATS
<cluster>.server                                        core NATS: hints of no job, of models that come and go
<cluster>.wake.<model>                                  core NATS: there is work
<cluster>.tell.<worker>.<verb>, <cluster>.tell-all.<verb>   core NATS: what workers are asked to do
<CLUSTER>-cancels, -workers, -idempotency, -leases, -keys   key-value buckets
"""

import hashlib
import re
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Self

from protocol.requests import Priority

SHARES: Final = 4
"""Waiting work of one class and model is in so many rows, by API key; workers take from them in turn."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,48}", re.ASCII)
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]+", re.ASCII)
_HASH_DIGITS: Final = 8


class WorkClass(StrEnum):
    """Of waiting work; the first goes first."""

    INTERACTIVE = "interactive"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @classmethod
    def of(cls, *, is_interactive: bool, priority: Priority) -> Self:
        return cls(cls.INTERACTIVE if is_interactive else priority.value)


class Verb(StrEnum):
    """What gateways tell workers to do."""

    SHOW = "show"
    """Tell the newest hints of a job again; of the worker that has it."""
    SKIP = "skip"
    """Leave out the image a job is at; likewise."""
    UNLOAD = "unload"
    """Let a model leave memory; of all."""


class Row(NamedTuple):
    """Waiting work that is equal for all who choose among it; has a consumer of its own."""

    work_class: WorkClass
    share: int
    model: str
    """A token; see `token`."""


def token(name: str) -> str:
    """`name` as one token of a subject or a key; different names have different tokens."""
    if _PLAIN.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{_UNFIT.sub('-', name)[:32].strip('-')}.{digest}".replace(".", "_")


def share_of(key_id: str) -> int:
    """In which share the jobs of a key wait."""
    return zlib.crc32(key_id.encode()) % SHARES


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one cluster.

    Args:
        cluster: letters, digits, underscores and hyphens.
    """

    cluster: str = "safelight"

    # ---- streams and buckets ---------------------------------------------------------------------------------

    @property
    def facts_stream(self) -> str:
        return f"{self.cluster.upper()}_FACTS"

    @property
    def work_stream(self) -> str:
        return f"{self.cluster.upper()}_WORK"

    def bucket(self, what: str) -> str:
        return f"{self.cluster.upper()}-{what}"

    # ---- subjects --------------------------------------------------------------------------------------------

    def fact(self, job_id: str) -> str:
        return f"{self.cluster}.facts.{job_id}"

    def note(self, what: str, job_id: str) -> str:
        return f"{self.cluster}.notes.{what}.{job_id}"

    @property
    def all_facts(self) -> str:
        return f"{self.cluster}.facts.*"

    @property
    def all_notes(self) -> str:
        return f"{self.cluster}.notes.*.*"

    def work(self, row: Row, job_id: str) -> str:
        return f"{self.cluster}.work.{row.work_class}.{row.share}.{row.model}.{job_id}"

    def work_of_row(self, row: Row) -> str:
        return self.work(row, "*")

    def work_of_job(self, job_id: str) -> str:
        return f"{self.cluster}.work.*.*.*.{job_id}"

    @property
    def all_work(self) -> str:
        return f"{self.cluster}.work.*.*.*.*"

    def consumer(self, row: Row) -> str:
        """The durable consumer of a row."""
        return f"{row.work_class}-{row.share}-{row.model}"

    def row_of_consumer(self, name: str) -> Row | None:
        """The row a consumer is of; None for one of somebody else's."""
        work_class, _, rest = name.partition("-")
        share, _, model = rest.partition("-")
        if work_class not in set(WorkClass) or not share.isdigit() or not model:
            return None
        return Row(WorkClass(work_class), int(share), model)

    def hints(self, key_id: str, job_id: str) -> str:
        return f"{self.cluster}.hints.{token(key_id)}.{job_id}"

    def hints_of_job(self, job_id: str) -> str:
        return f"{self.cluster}.hints.*.{job_id}"

    def hints_of_key(self, key_id: str) -> str:
        return f"{self.cluster}.hints.{token(key_id)}.*"

    def wake(self, model: str) -> str:
        return f"{self.cluster}.wake.{model}"

    def tell(self, worker: str, verb: Verb) -> str:
        return f"{self.cluster}.tell.{token(worker)}.{verb}"

    @property
    def server_hints(self) -> str:
        return f"{self.cluster}.server"

    def tell_all(self, verb: Verb) -> str:
        return f"{self.cluster}.tell-all.{verb}"
