"""A real object store for tests: rclone's S3 server over a folder, with the signatures of S3."""

import importlib.util
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.servers import free_port, until

ACCESS_KEY = "minioadmin"
SECRET_KEY = "minioadmin123"
BUCKET = "sd-images"


@dataclass(frozen=True)
class ObjectServer:
    """One that runs.

    Attributes:
        folder: what is in the bucket, as files.
    """

    port: int
    folder: Path

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.endpoint}"

    def names(self) -> list[str]:
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())


def binary() -> Path | None:
    """The program, where its package is installed."""
    found = importlib.util.find_spec("rclone_api")
    return Path(found.origin).parent / "bin" / "rclone" if found is not None and found.origin is not None else None


@contextmanager
def object_server(root: Path, *, port: int | None = None, is_open: bool = False) -> Iterator[ObjectServer]:
    """Run one until the block ends, with an empty bucket unless there is one.

    Args:
        is_open: whoever asks is answered, as by a bucket whose policy is public: signatures are not looked at.
    """
    program = binary()
    assert program is not None
    chosen = port or free_port()
    (root / BUCKET).mkdir(parents=True, exist_ok=True)
    keys = [] if is_open else ["--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
    process = subprocess.Popen(
        [
            program, "serve", "s3", root, "--addr", f"127.0.0.1:{chosen}", "--config", "", "--log-level", "ERROR",
            *keys, "--vfs-cache-mode", "off", "--poll-interval", "0",
        ]
    )  # fmt: skip

    def answers() -> bool:
        assert process.poll() is None, f"rclone ended with {process.returncode}"
        with suppress(OSError), socket.create_connection(("127.0.0.1", chosen), timeout=1):
            return True
        return False

    try:
        until(answers, "the object store to answer")
        yield ObjectServer(chosen, root / BUCKET)
    finally:
        process.terminate()
        process.wait()
