"""Two object stores of different make that run, and places in their buckets."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from protocol.ids import new_id
from service.storage import StoragePlace
from tests.object_servers import BUCKET, MotoServer, ObjectServer, moto_server, object_server
from tests.servers import DEADLINE_S

SERVERS = ("rclone", "moto")
LARGE = bytes(range(256)) * 40_000
"""Comes in several pieces."""


@contextmanager
def both_servers(root: Path) -> Iterator[dict[str, ObjectServer | MotoServer]]:
    """Run them until the block ends."""
    with object_server(root) as rclone, moto_server() as moto:
        yield {"rclone": rclone, "moto": moto}


def place_at(server: ObjectServer | MotoServer, **more: Any) -> StoragePlace:
    """In the bucket of a server; no other test looks there."""
    chosen = {"endpoint": server.url, "prefix": f"{new_id()}/", "timeout_s": DEADLINE_S, **more}
    keys = {"access_key": server.access_key, "secret_key": server.secret_key}
    return StoragePlace(bucket=BUCKET, **keys | chosen)
