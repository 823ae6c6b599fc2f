"""The configurations of NATS are ones that a real server takes, and say what a cluster needs."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from service.cluster.names import Names
from service.cluster.stream_settings import Bucket
from tests import manifests
from tests.nats_servers import binary
from tests.servers import REPOSITORY

KUBERNETES = manifests.FOLDER / "nats" / "nats.conf"
COMPOSE = REPOSITORY / "deploy" / "compose" / "nats.conf"
ROLES = manifests.FOLDER / "nats" / "roles.conf"
BOTH = pytest.mark.parametrize("config", [KUBERNETES, COMPOSE], ids=["kubernetes", "compose"])
VARIABLES = {
    "POD_NAME": "nats-0",
    **{f"NATS_{role}_PASSWORD": f"n-{role.lower()}" for role in ("ADMIN", "GATEWAY", "WORKER", "ROUTE")},
}


def checked(config: Path, folder: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What a server says of it, with the roles beside it as where it is used."""
    for source in (config, ROLES):
        (folder / source.name).write_text(source.read_text("utf-8"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NATS_")} | variables
    return subprocess.run(
        [str(binary()), "--config", str(folder / config.name), "-t"],
        capture_output=True, text=True, check=False, timeout=30, env=environment,
    )  # fmt: skip


@BOTH
def test_a_server_takes_it(config: Path, tmp_path: Path) -> None:
    told = checked(config, tmp_path, VARIABLES)
    assert told.returncode == 0, told.stderr


@BOTH
@pytest.mark.parametrize("missing", ["NATS_ADMIN_PASSWORD", "NATS_GATEWAY_PASSWORD", "NATS_WORKER_PASSWORD"])
def test_a_server_does_not_start_without_a_password(config: Path, missing: str, tmp_path: Path) -> None:
    told = checked(config, tmp_path, {name: value for name, value in VARIABLES.items() if name != missing})
    assert told.returncode != 0
    assert missing in told.stderr


def test_every_variable_is_set_in_the_manifest() -> None:
    used = set(re.findall(r"\$([A-Z_]+)\b", KUBERNETES.read_text("utf-8") + ROLES.read_text("utf-8"))) - {"JS", "KV"}
    (nats,) = manifests.of_kind("StatefulSet")
    (container,) = manifests.containers(nats)
    assert used <= {variable["name"] for variable in container["env"]}


@BOTH
def test_it_listens_where_the_manifests_say(config: Path) -> None:
    text = config.read_text("utf-8")
    assert 'http: "0.0.0.0:8222"' in text
    if config == KUBERNETES:
        assert 'listen: "0.0.0.0:6222"' in text


def test_a_volume_is_larger_than_what_is_stored_in_it() -> None:
    stored = re.search(r"max_file_store: (\d+)GB", KUBERNETES.read_text("utf-8"))
    assert stored
    (nats,) = manifests.of_kind("StatefulSet")
    (claim,) = nats.spec["volumeClaimTemplates"]
    assert int(stored[1]) < int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))


def subjects() -> set[str]:
    """Those of ours that roles name."""
    return set(re.findall(r'"(safelight\.[^"]+)"', ROLES.read_text("utf-8")))


def test_roles_are_told_subjects_that_the_cluster_has() -> None:
    names = Names()
    ours = subjects()
    assert ours == {
        names.all_facts,
        names.all_notes,
        names.all_work,
        names.hints_of_job("*"),
        names.server_hints,
        names.wake("*"),
        f"{names.cluster}.tell.*.*",
        names.tell_all("*"),
    }


def test_roles_name_streams_and_buckets_that_the_cluster_has() -> None:
    names = Names()
    known = {names.facts_stream, names.work_stream, *(names.bucket(bucket) for bucket in Bucket)}
    named = re.findall(r"SAFELIGHT[-_]\w+", ROLES.read_text("utf-8"))
    assert set(named) <= known
    assert {names.bucket(bucket) for bucket in Bucket} <= set(named)


def test_the_page_says_what_each_role_may() -> None:
    page = (REPOSITORY / "docs" / "cluster.md").read_text("utf-8").partition("## Security")[2].partition("\n## ")[0]
    for subject in subjects():
        assert f"`{subject}`" in page
    for bucket in Bucket:
        assert f"`{bucket}`" in page
