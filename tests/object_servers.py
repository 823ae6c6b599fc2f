"""Real object stores for tests, of two makes; both look at the signatures of S3.

object_server   rclone's S3 server over a folder
moto_server     moto's, in memory: an empty bucket at each start
"""

import importlib.util
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

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
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY

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

    with _running(process, chosen):
        yield ObjectServer(chosen, root / BUCKET)


@dataclass(frozen=True)
class MotoServer:
    """One that runs; its keys are others at each start."""

    port: int
    access_key: str
    secret_key: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def moto_server(*, port: int | None = None, checks_keys: bool = True, is_public: bool = False) -> Iterator[MotoServer]:
    """Run one until the block ends.

    Args:
        checks_keys: else whoever signs is believed; it does not know signatures in URLs where it checks.
        is_public: everybody may read what is in the bucket.
    """
    chosen = port or free_port()
    # It believes the first calls, which make the bucket and somebody who may use it.
    believed = {"INITIAL_NO_AUTH_ACTION_COUNT": str(len(_FIRST_CALLS) + 1 + is_public)} if checks_keys else {}
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(chosen)],
        env={**os.environ, **believed},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{chosen}"
    with _running(process, chosen):
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            client.put(f"/{BUCKET}").raise_for_status()
            if is_public:
                client.put(f"/{BUCKET}", params="policy", content=_PUBLIC).raise_for_status()
            answer = ""
            for call in _FIRST_CALLS:
                sent = client.post("/", data={**call, "Version": "2010-05-08", "UserName": "tests"}, headers=_IAM)
                answer = sent.raise_for_status().text
        found = [re.search(rf"<{name}>(.*?)</{name}>", answer) for name in ("AccessKeyId", "SecretAccessKey")]
        access_key, secret_key = (match[1] for match in found if match is not None)
        yield MotoServer(chosen, access_key, secret_key)


_ALL_OF_S3 = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
_PUBLIC = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",'
    f'"Resource":"arn:aws:s3:::{BUCKET}/*"}}]}}'
)
_FIRST_CALLS = (
    {"Action": "CreateUser"},
    {"Action": "PutUserPolicy", "PolicyName": "all", "PolicyDocument": _ALL_OF_S3},
    {"Action": "CreateAccessKey"},
)
_IAM = {"Authorization": "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/iam/aws4_request, SignedHeaders=host"}


@contextmanager
def _running(process: "subprocess.Popen[bytes]", port: int) -> Iterator[None]:
    """Wait until the server answers; it is killed at the end of the block."""

    def answers() -> bool:
        assert process.poll() is None, f"the object store ended with {process.returncode}"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    try:
        until(answers, "the object store to answer")
        yield
    finally:
        process.kill()
        process.wait()
