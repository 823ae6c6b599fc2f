"""What each stream and bucket of a cluster has to be like, and how one that is there differs.

All is in the server's own words, as JetStream takes and tells it: times in nanoseconds, -1 for no limit.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from service.cluster.names import Names
from service.settings import Settings

VERSION: Final = "1"
"""Of what streams and buckets hold; a stream of another one is refused."""
NANOSECONDS: Final = 1_000_000_000
CANCEL_TTL_S: Final = 3600.0
LEASE_TTL_S: Final = 10.0
DUPLICATE_WINDOW_S: Final = 120.0
"""So long a repeated message is known by its id without comparing."""
ID_KEY: Final = "safelight.id"
"""In the metadata of the facts stream: made with it, and never again."""
VERSION_KEY: Final = "safelight.version"
_FIXED: Final = frozenset({"storage", "retention", f"metadata.{VERSION_KEY}", f"metadata.{ID_KEY}"})
_PLAIN: Final[Mapping[str, Any]] = {
    "discard": "new",  # nothing stored goes to make room
    "max_consumers": -1,
    "max_msgs": -1,
    "max_bytes": -1,
    "max_msg_size": -1,
    "no_ack": False,
    "sealed": False,
    "deny_purge": False,
}
_ABSENT: Final = ("mirror", "sources", "subject_transform", "republish", "consumer_limits", "persist_mode")
"""What changes which messages a stream has, or when they are safe. The rest (description, placement, compression,
what newer servers add) is the operator's."""


class Bucket(StrEnum):
    """The key-value buckets."""

    CANCELS = "cancels"
    WORKERS = "workers"
    IDEMPOTENCY = "idempotency"
    LEASES = "leases"
    KEYS = "keys"
    SECRETS = "secrets"


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting of a stream that is not as it has to be."""

    setting: str
    wanted: object
    found: object

    @property
    def is_fixed(self) -> bool:
        """Whether a stream cannot be edited to have it, or must not: it is another one."""
        return self.setting in _FIXED

    def __str__(self) -> str:
        return f"{self.setting}: wanted {_shown(self.wanted)}, found {_shown(self.found)}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stream as it has to be.

    Attributes:
        config: as the server writes it; times in nanoseconds.
        adjustable: settings of it that follow from settings of ours, which may change.
    """

    config: Mapping[str, Any]
    adjustable: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return str(self.config["name"])


def streams(names: Names, settings: Settings) -> list[Wanted]:
    shared = {
        "storage": "file",
        "num_replicas": settings.nats_replicas,
        "duplicate_window": _nanoseconds(DUPLICATE_WINDOW_S),
        "max_msgs_per_subject": -1,
        "max_age": 0,
        "deny_delete": False,
        "allow_rollup_hdrs": False,
    }
    facts = {
        "name": names.facts_stream,
        "subjects": [names.all_facts, names.all_notes],
        "retention": "limits",
        "allow_direct": True,
        "allow_msg_ttl": True,  # of notes
        "metadata": {VERSION_KEY: VERSION, ID_KEY: secrets.token_hex(8)},
    }
    work = {
        "name": names.work_stream,
        "subjects": [names.all_work],
        "retention": "workqueue",
        "allow_direct": False,
        "allow_msg_ttl": False,
        "metadata": {VERSION_KEY: VERSION},
    }
    adjustable = frozenset({"num_replicas"})
    return [Wanted({**_PLAIN, **shared, **facts}, adjustable), Wanted({**_PLAIN, **shared, **work}, adjustable)]


def buckets(names: Names, settings: Settings) -> list[Wanted]:
    ages_s: dict[Bucket, float] = {
        Bucket.CANCELS: CANCEL_TTL_S,
        Bucket.WORKERS: settings.worker_lost_s,
        Bucket.IDEMPOTENCY: settings.idempotency_ttl_s,
        Bucket.LEASES: LEASE_TTL_S,
        Bucket.KEYS: 0,
        Bucket.SECRETS: 0,
    }
    in_memory = {Bucket.WORKERS}  # heartbeats: not worth a disk's while. A lease that went with its server costs time
    return [
        Wanted(
            {
                **_PLAIN,
                "name": f"KV_{names.bucket(bucket)}",
                "subjects": [f"$KV.{names.bucket(bucket)}.>"],
                "retention": "limits",
                "storage": "memory" if bucket in in_memory else "file",
                "num_replicas": settings.nats_replicas,
                "duplicate_window": _nanoseconds(min(DUPLICATE_WINDOW_S, age_s or DUPLICATE_WINDOW_S)),
                "max_msgs_per_subject": 1,
                "max_age": _nanoseconds(age_s),
                "deny_delete": True,
                "allow_rollup_hdrs": True,
                "allow_direct": False,  # a replica that answers itself may be behind
                "allow_msg_ttl": True,
                "metadata": {VERSION_KEY: VERSION},
            },
            frozenset({"num_replicas", "max_age", "duplicate_window"}),
        )
        for bucket, age_s in ages_s.items()
    ]


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[Difference]:
    """What a stream has that it should not have, or lacks; `metadata` by its own names, of which others may be there.

    Args:
        wanted, found: as the server writes them; what is off it may leave out.
    """
    different = []
    for setting, value in wanted.items():
        if setting == "metadata":
            there = found.get("metadata") or {}
            if there.get(VERSION_KEY) != value[VERSION_KEY]:
                different.append(Difference(f"metadata.{VERSION_KEY}", value[VERSION_KEY], there.get(VERSION_KEY)))
            if ID_KEY in value and not there.get(ID_KEY):
                different.append(Difference(f"metadata.{ID_KEY}", "one", None))
        elif setting == "subjects":
            if sorted(found.get("subjects") or ()) != sorted(value):
                different.append(Difference(setting, value, found.get("subjects")))
        elif (found.get(setting) or False) != (value or False):
            different.append(Difference(setting, value, found.get(setting)))
    different += [
        Difference(setting, None, found[setting])
        for setting in _ABSENT
        if found.get(setting) and not (setting == "persist_mode" and found[setting] == "default")
    ]
    return different


def _nanoseconds(seconds: float) -> int:
    return int(seconds * NANOSECONDS)


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, int) and not isinstance(value, bool) and value >= NANOSECONDS:
        return f"{value / NANOSECONDS:g} s"
    return ", ".join(str(part) for part in value) if isinstance(value, list) else str(value).lower()
