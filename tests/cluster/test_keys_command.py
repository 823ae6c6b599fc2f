"""`safelight keys` on the keys of a cluster: the real command, and a real NATS."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.cluster.names import Names
from tests.nats_servers import NatsServer


def keys(*arguments: str, nats: NatsServer, names: Names, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "safelight", "keys", *arguments, "--nats", nats.url],
        env={"PATH": "", "SAFELIGHT_CLUSTER": names.cluster, "SAFELIGHT_DATA_DIR": str(folder)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_keys_of_a_cluster_are_added_listed_and_revoked(nats: NatsServer, names: Names, tmp_path: Path) -> None:
    added = keys("add", "bob", "--scope", "jobs:read", nats=nats, names=names, folder=tmp_path)
    assert added.returncode == 0, added.stderr
    assert added.stdout.startswith("sl_")

    again = keys("add", "bob", nats=nats, names=names, folder=tmp_path)
    assert (again.returncode, "is in use" in again.stderr) == (2, True)

    listed = keys("list", nats=nats, names=names, folder=tmp_path)
    assert listed.stdout.split("\t")[1:3] == ["bob", "jobs:read"]
    assert added.stdout.strip() not in listed.stdout

    assert keys("revoke", "bob", nats=nats, names=names, folder=tmp_path).returncode == 0
    assert "revoked" in keys("list", nats=nats, names=names, folder=tmp_path).stdout
    assert not list(tmp_path.iterdir())  # nothing of it is on this machine


@pytest.mark.slow
def test_keys_of_a_cluster_that_is_away_are_not_looked_for_in_a_folder(names: Names, tmp_path: Path) -> None:
    with NatsServer() as stopped:
        url_of = stopped
    answer = keys("list", nats=url_of, names=names, folder=tmp_path)
    assert (answer.returncode, "nats_url" in answer.stderr) == (2, True)
