"""The users of deploy/kubernetes/nats/roles.conf may say all that gateways and workers say, and little else."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import nats.errors
import pytest

from service.cluster.connection import connect
from service.cluster.names import Names
from tests.nats_servers import NatsServer
from tests.servers import DEADLINE_S, REPOSITORY, free_port, until

ROLES = REPOSITORY / "deploy" / "kubernetes" / "nats" / "roles.conf"
KEY = "a-key-of-the-tests"


@pytest.fixture(scope="module")
def guarded() -> Iterator[NatsServer]:
    """A NATS that knows the roles; the password of each is its name."""
    roles = re.sub(r"\$NATS_(\w+)_PASSWORD", lambda role: role[1].lower(), ROLES.read_text("utf-8"))
    with NatsServer(config=roles) as server:
        yield server


def url(server: NatsServer, role: str) -> str:
    return f"nats://{role}:{role}@127.0.0.1:{server.port}"


@contextmanager
def process(role: str, server: NatsServer, folder: Path, **settings: object) -> Iterator[httpx.Client]:
    """A gateway or a worker; what asks it, with the key."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAFELIGHT_")}
    environment |= {
        "SAFELIGHT_NATS_URL": url(server, role),
        "SAFELIGHT_OBJECTS_URL": (folder / "objects").as_uri(),
        **{f"SAFELIGHT_{name.upper()}": str(value) for name, value in settings.items()},
    }
    command = [sys.executable, "-m", "safelight", role, "--port", str(port), "--data-dir", str(folder / role)]
    with (
        subprocess.Popen(command, cwd=REPOSITORY, env=environment) as started,
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"X-API-Key": KEY},
            timeout=3 * DEADLINE_S,
            trust_env=False,
        ) as client,
    ):

        def is_ready() -> bool:
            assert started.poll() is None, f"{role} ended with {started.returncode}"
            try:
                return client.get("/v1/health/ready").is_success
            except httpx.TransportError:
                return False

        try:
            until(is_ready, f"{role} to be ready", interval_s=0.05)
            yield client
            started.terminate()
            assert started.wait(3 * DEADLINE_S) in {0, -signal.SIGTERM}
        finally:
            started.kill()


def test_a_cluster_works_with_no_more_rights_than_the_roles_have(guarded: NatsServer, tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    keys = f'["{KEY}"]'
    with (
        process("gateway", guarded, tmp_path, api__keys=keys, worker_lost_s=4) as gateway,
        process("worker", guarded, tmp_path, engine="fake", fake_step_s=0.01, worker_lost_s=4),
    ):
        body = {"task": "test_pattern", "params": {"width": 64, "height": 64, "steps": 30}, "previews": "all"}
        done = gateway.post("/v1/jobs", json=body, headers={"Prefer": "wait=20", "Idempotency-Key": "one"})
        assert done.json()["status"] == "succeeded"
        assert gateway.get(f"/v1/jobs/{done.json()['id']}/outputs/0").is_success

        long = gateway.post("/v1/jobs", json={**body, "params": {**body["params"], "steps": 1000}}).json()
        until(lambda: gateway.get(f"/v1/jobs/{long['id']}").json()["status"] == "running", "it to run", interval_s=0.02)
        assert gateway.delete(f"/v1/jobs/{long['id']}").status_code == 202
        ended = gateway.get(f"/v1/jobs/{long['id']}", params={"wait": 20}).json()
        assert ended["status"] == "cancelled"

        assert gateway.delete(f"/v1/jobs/{done.json()['id']}/record").is_success
        until(lambda: gateway.get(f"/v1/jobs/{done.json()['id']}").status_code == 404, "it to be gone", interval_s=0.02)

        guarded.restart()  # with it go the buckets in memory
        until(lambda: gateway.get("/v1/health/ready").is_success, "the gateway to be ready again", interval_s=0.05)
        again = gateway.post("/v1/jobs", json=body, headers={"Prefer": "wait=20"})
        assert again.json()["status"] == "succeeded"
    assert "Permissions Violation" not in guarded.log
    assert "Authorization" not in guarded.log


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("role", "subject"),
    [
        ("worker", "$JS.API.STREAM.DELETE.SAFELIGHT_FACTS"),
        ("worker", "$JS.API.STREAM.PURGE.SAFELIGHT_FACTS"),
        ("worker", "$JS.API.CONSUMER.CREATE.SAFELIGHT_FACTS.mine"),
        ("worker", "$KV.SAFELIGHT-leases.leader"),
        ("worker", "$KV.SAFELIGHT-keys.keys"),
        ("worker", Names().tell_all("stop")),
        ("gateway", "$JS.API.STREAM.DELETE.SAFELIGHT_FACTS"),
    ],
)
async def test_nobody_may_do_what_is_not_their_part(guarded: NatsServer, role: str, subject: str) -> None:
    connection = await connect(url(guarded, role), "test")
    try:
        with pytest.raises((nats.errors.Error, TimeoutError)):
            await connection.nats.request(subject, b"{}", timeout=0.3)
    finally:
        await connection.close()
    refused = f'/user:{role}" - Publish Violation - Subject "{subject}"'
    assert refused in guarded.log, guarded.log
