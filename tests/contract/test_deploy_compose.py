"""compose.yaml and the Dockerfile fit each other, the settings and the commands.

No container has been built or started. Where there is Docker's Compose, its own reading of the file is tried, too.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from service.settings import Settings
from tests.commands import taken_apart
from tests.servers import REPOSITORY

TEXT = (REPOSITORY / "compose.yaml").read_text("utf-8")
COMPOSE: Mapping[str, Any] = yaml.safe_load(TEXT)
SERVICES: Mapping[str, Mapping[str, Any]] = COMPOSE["services"]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text("utf-8")
STAGES = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
PROFILES = ("cluster", "cluster-cuda")
KEY = "a-long-random-string"
EACH = pytest.mark.parametrize("name", SERVICES)


def stage(name: str) -> str:
    """One target of the Dockerfile."""
    found = re.search(rf"^FROM \S+ AS {name}$.*?(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
    assert found
    return found[0]


def started_with(profile: str) -> set[str]:
    return {name for name, service in SERVICES.items() if profile in service.get("profiles", ())}


def has_compose() -> bool:
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False, timeout=60)
    return asked.returncode == 0


@EACH
def test_every_image_of_ours_is_built_from_a_target_of_its_name(name: str) -> None:
    service = SERVICES[name]
    if service["image"].startswith("safelight:"):
        assert service["build"]["target"] == service["image"].removeprefix("safelight:")
        assert service["build"]["target"] in STAGES
    else:
        assert "build" not in service
        assert re.fullmatch(r"[\w./-]+:[\w.-]+", service["image"])  # a version, not the newest


@EACH
def test_a_service_waits_for_others_of_its_profiles(name: str) -> None:
    profiles = set(SERVICES[name].get("profiles", ()))
    for other, condition in SERVICES[name].get("depends_on", {}).items():
        theirs = set(SERVICES[other].get("profiles", ()))
        assert not theirs or profiles <= theirs, other
        if condition["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]


@EACH
def test_every_variable_of_ours_is_a_setting(name: str) -> None:
    for variable in SERVICES[name].get("environment", {}):
        if variable.startswith("SAFELIGHT_"):
            field = variable.removeprefix("SAFELIGHT_").lower().partition("__")[0]
            assert field in Settings.model_fields, variable


@EACH
def test_what_a_service_runs_is_a_command_with_those_flags(name: str) -> None:
    service = SERVICES[name]
    if service["image"].startswith("safelight:"):
        assert "entrypoint" not in service
        (own,) = re.findall(r"^CMD (.+)$", stage("run"), re.MULTILINE)
        others = re.findall(r"^CMD (.+)$", stage(service["build"]["target"]), re.MULTILINE)
        taken_apart(service.get("command") or json.loads((others or [own])[-1]))


@EACH
def test_what_a_service_mounts_is_there(name: str) -> None:
    for mount in SERVICES[name].get("volumes", ()):
        source = mount.partition(":")[0]
        if source.startswith("./"):
            assert (REPOSITORY / source).is_file()
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_cluster_has_two_gateways_a_worker_and_what_joins_them(profile: str) -> None:
    kinds = {"gateway-1", "gateway-2", "nats", "objects", "bucket"}
    assert kinds < started_with(profile)
    assert [SERVICES[name]["image"] for name in started_with(profile) - kinds] in (
        ["safelight:cpu"],
        ["safelight:cuda"],
    )


def test_a_single_server_starts_nothing_of_a_cluster() -> None:
    assert {name for name, service in SERVICES.items() if not service.get("profiles")} == {"models", "cpu"}


def test_no_two_services_take_the_same_port_of_the_host() -> None:
    taken = [port for name in ("cpu", "gateway-1", "gateway-2") for port in SERVICES[name]["ports"]]
    defaults = [default for port in taken for default in re.findall(r":-(\d+)}", port)]
    assert len(defaults) == len(set(defaults)) == len(taken)


def test_only_servers_can_be_reached_from_outside() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {
        "cpu", "cuda", "gateway-1", "gateway-2",
    }  # fmt: skip


def test_every_secret_has_to_be_given_and_the_message_says_how() -> None:
    secret = re.findall(r"^\s*(\w*(?:PASSWORD|SECRET_KEY|AUTH_KEY|API__KEYS|NATS_URL)): (.+)$", TEXT, re.MULTILINE)
    assert len(secret) == 8
    for name, value in secret:
        assert "${SAFELIGHT_KEY:?set SAFELIGHT_KEY to a long random string}" in value, name


def test_gateways_and_nats_have_the_same_passwords() -> None:
    passwords = SERVICES["nats"]["environment"]
    for name, role in (("gateway-1", "GATEWAY"), ("worker", "WORKER")):
        url = SERVICES[name]["environment"]["SAFELIGHT_NATS_URL"]
        assert url == f"nats://{role.lower()}:{passwords[f'NATS_{role}_PASSWORD']}@nats:4222"


def test_a_worker_is_healthy_where_it_listens() -> None:
    command = SERVICES["worker"]["command"]
    port = command[command.index("--port") + 1]
    assert f"127.0.0.1:{port}/v1/health/live" in SERVICES["worker"]["healthcheck"]["test"][-1]


def test_the_image_of_a_gateway_has_no_torch() -> None:
    built = stage("build-gateway")
    assert "engine" not in built
    assert "torch" not in built
    assert "COPY --from=build-gateway" in stage("gateway")


def test_the_image_of_a_gateway_listens_where_its_health_is_asked_for() -> None:
    command = re.search(r"^CMD (.+)$", stage("gateway"), re.MULTILINE)
    assert command
    assert json.loads(command[1]) == ["gateway", "--host", "0.0.0.0", "--port", "8765"]
    assert "EXPOSE 8765" in stage("run")
    assert "127.0.0.1:8765/v1/health/live" in stage("run")


def test_without_a_target_the_image_for_a_cpu_is_built() -> None:
    assert re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)[-1] == "cpu"


@pytest.mark.skipif(not has_compose(), reason="Docker's Compose is not installed: compose.yaml was not read by it")
@pytest.mark.parametrize("profile", ["", *PROFILES, "cuda"])
def test_compose_reads_the_file(profile: str) -> None:
    command = ["docker", "compose", "--file", str(REPOSITORY / "compose.yaml"), "--profile", profile, "config"]
    environment = {**os.environ, "SAFELIGHT_KEY": KEY}
    read = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert read.returncode == 0, read.stderr
    assert started_with(profile) <= set(yaml.safe_load(read.stdout)["services"])
    del environment["SAFELIGHT_KEY"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert refused.returncode != 0
    assert "set SAFELIGHT_KEY" in refused.stderr
