"""The manifests for Kubernetes are what its schemas allow, and fit each other, the settings, the image and the routes.

They have not been applied to a cluster; this is what can be seen without one. The schemas come with the package
`kubernetes-validate`; the kustomization, which no schema of Kubernetes describes, is looked at by hand, and built where
there is a kubectl.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import kubernetes_validate
import pytest
import yaml
from starlette.routing import Route

from service.app import ROUTES
from service.settings import Settings
from tests import manifests
from tests.commands import taken_apart
from tests.manifests import Manifest
from tests.servers import REPOSITORY

KUBERNETES = ("1.30", kubernetes_validate.latest_version())
STAGES = set(re.findall(r"^FROM \S+ AS (\S+)$", (REPOSITORY / "Dockerfile").read_text("utf-8"), re.MULTILINE))
ADAPTER = yaml.safe_load((REPOSITORY / "deploy" / "monitoring" / "prometheus-adapter.yaml").read_text("utf-8"))
GOODBYES_S = 17.0
"""Sockets, connections and the rest after `shutdown_timeout_s`; docs/operations.md, "Shutdown"."""
ALL = pytest.mark.parametrize("manifest", manifests.manifests(), ids=str)
WORKLOADS = pytest.mark.parametrize("workload", manifests.workloads(), ids=str)
OURS = pytest.mark.parametrize("workload", manifests.of_kind("Deployment"), ids=str)


def kustomization() -> Mapping[str, Any]:
    body: Mapping[str, Any] = yaml.safe_load(manifests.KUSTOMIZATION.read_text("utf-8"))
    return body


def values(node: object, key: str) -> Iterator[Any]:
    """Every value under `key`, however deep."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name == key:
                yield value
            yield from values(value, key)
    elif isinstance(node, list):
        for item in node:
            yield from values(item, key)


def ports(workload: Manifest) -> dict[str, int]:
    """The ports its containers open, by name."""
    return {
        port["name"]: port["containerPort"]
        for container in manifests.containers(workload)
        for port in container.get("ports", ())
    }


def probes(workload: Manifest) -> Iterator[Mapping[str, Any]]:
    for container in manifests.pod(workload)["containers"]:
        yield from (container[name] for name in ("startupProbe", "readinessProbe", "livenessProbe"))


# ---- each by itself --------------------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_is_what_the_schema_of_its_kind_allows(manifest: Manifest, version: str) -> None:
    kubernetes_validate.validate(dict(manifest.body), version, strict=True)


def test_a_field_that_does_not_exist_is_noticed() -> None:
    body = {**manifests.of_kind("Service")[0].body, "spek": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(body, KUBERNETES[-1], strict=True)


@ALL
def test_every_manifest_is_of_one_namespace_and_says_whose_it_is(manifest: Manifest) -> None:
    if manifest.kind != "Namespace":
        assert manifest.body["metadata"]["namespace"] == kustomization()["namespace"]
    if manifest.kind not in {"Namespace", "NetworkPolicy"}:
        assert manifest.body["metadata"]["labels"]["app.kubernetes.io/part-of"] == "safelight"


@WORKLOADS
def test_no_pod_needs_more_rights_than_a_restricted_namespace_gives(workload: Manifest) -> None:
    pod = manifests.pod(workload)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in manifests.containers(workload):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@WORKLOADS
def test_every_container_says_what_it_takes(workload: Manifest) -> None:
    for container in manifests.containers(workload):
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]


# ---- with each other -------------------------------------------------------------------------------------------------


@WORKLOADS
def test_a_workload_selects_its_own_pods_and_no_others(workload: Manifest) -> None:
    selector = workload.spec["selector"]
    chosen = [other for other in manifests.workloads() if manifests.selects(selector, manifests.pod_labels(other))]
    assert chosen == [workload]


@WORKLOADS
def test_pods_are_spread_away_from_their_like(workload: Manifest) -> None:
    for selector in values(manifests.pod(workload), "labelSelector"):
        assert manifests.selects(selector, manifests.pod_labels(workload))


@pytest.mark.parametrize("service", manifests.of_kind("Service"), ids=str)
def test_a_service_leads_to_ports_of_the_pods_it_selects(service: Manifest) -> None:
    behind = [
        workload
        for workload in manifests.workloads()
        if manifests.selects(service.spec["selector"], manifests.pod_labels(workload))
    ]
    assert len(behind) == 1
    for port in service.spec["ports"]:
        assert port["targetPort"] in ports(behind[0])


@pytest.mark.parametrize("budget", manifests.of_kind("PodDisruptionBudget"), ids=str)
def test_a_disruption_budget_is_of_one_workload_and_lets_one_pod_go(budget: Manifest) -> None:
    selector = budget.spec["selector"]
    chosen = [each for each in manifests.workloads() if manifests.selects(selector, manifests.pod_labels(each))]
    assert [each.name for each in chosen] == [budget.name]
    assert budget.spec["maxUnavailable"] == 1


@pytest.mark.parametrize("autoscaler", manifests.of_kind("HorizontalPodAutoscaler"), ids=str)
def test_an_autoscaler_alone_decides_on_the_number_of_its_workload(autoscaler: Manifest) -> None:
    target = autoscaler.spec["scaleTargetRef"]
    (workload,) = [each for each in manifests.workloads() if (each.kind, each.name) == (target["kind"], target["name"])]
    assert workload.body["apiVersion"] == target["apiVersion"]
    assert "replicas" not in workload.spec


@OURS
def test_every_deployment_has_an_autoscaler(workload: Manifest) -> None:
    assert workload.name in {each.name for each in manifests.of_kind("HorizontalPodAutoscaler")}


@pytest.mark.parametrize("policy", manifests.of_kind("NetworkPolicy"), ids=str)
def test_a_network_policy_is_about_pods_and_ports_that_exist(policy: Manifest) -> None:
    chosen = [
        each
        for each in manifests.workloads()
        if manifests.selects(policy.spec["podSelector"], manifests.pod_labels(each))
    ]
    assert chosen
    opened = {port for each in chosen for port in ports(each).values()}
    for rule in policy.spec.get("ingress", ()):
        assert {port["port"] for port in rule["ports"]} <= opened
    for selector in values([policy.spec.get("ingress", []), policy.spec.get("egress", [])], "podSelector"):
        assert any(manifests.selects(selector, manifests.pod_labels(each)) for each in manifests.workloads())


def test_every_kind_of_pod_has_a_network_policy_of_its_own() -> None:
    policies = [each for each in manifests.of_kind("NetworkPolicy") if each.spec["podSelector"]]
    for workload in manifests.workloads():
        labels = manifests.pod_labels(workload)
        assert sum(manifests.selects(policy.spec["podSelector"], labels) for policy in policies) == 1


@WORKLOADS
def test_what_pods_mount_and_read_is_there(workload: Manifest) -> None:
    pod = manifests.pod(workload)
    claims = {claim["metadata"]["name"] for claim in workload.spec.get("volumeClaimTemplates", ())}
    volumes = {volume["name"] for volume in pod.get("volumes", ())} | claims
    for container in manifests.containers(workload):
        assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes
    existing = {each.name for each in manifests.of_kind("PersistentVolumeClaim")}
    assert {claim["claimName"] for claim in values(pod, "persistentVolumeClaim")} <= existing
    generated = {each["name"] for each in kustomization()["configMapGenerator"]}
    maps = {each.name for each in manifests.of_kind("ConfigMap")} | generated
    assert {each["name"] for key in ("configMap", "configMapRef") for each in values(pod, key)} <= maps
    (secret,) = manifests.of_kind("Secret")
    for reference in values(pod, "secretKeyRef"):
        assert reference["name"] == secret.name
        assert reference["key"] in secret.body["stringData"]


def test_every_value_of_the_secret_is_read_by_somebody() -> None:
    (secret,) = manifests.of_kind("Secret")
    read = {
        reference["key"] for each in manifests.workloads() for reference in values(manifests.pod(each), "secretKeyRef")
    }
    assert read == set(secret.body["stringData"])


@WORKLOADS
def test_a_variable_inside_another_is_defined_before_it(workload: Manifest) -> None:
    for container in manifests.containers(workload):
        known: set[str] = set()
        for variable in container.get("env", ()):
            assert set(re.findall(r"\$\((\w+)\)", variable.get("value", ""))) <= known, variable["name"]
            known.add(variable["name"])
        assert set(re.findall(r"\$\((\w+)\)", " ".join(container.get("args", ())))) <= known


def test_workers_of_different_gpus_differ_in_nothing_else() -> None:
    def common(workload: Manifest) -> object:
        pool = manifests.pod_labels(workload)["safelight/pool"]
        template = yaml.safe_load(yaml.safe_dump(dict(workload.body)).replace(pool, "POOL"))
        pod = template["spec"]["template"]["spec"]
        del pod["nodeSelector"]
        for container in pod["containers"]:
            for kind in ("requests", "limits"):
                for resource in ("cpu", "memory"):
                    container["resources"][kind].pop(resource, None)
        return template

    first, *others = [
        each for each in manifests.of_kind("Deployment") if "safelight/pool" in manifests.pod_labels(each)
    ]
    assert others
    assert all(common(other) == common(first) for other in others)


# ---- with the settings, the image and the routes ---------------------------------------------------------------------


@pytest.mark.parametrize("manifest", manifests.of_kind("ConfigMap", "Deployment"), ids=str)
def test_every_variable_of_ours_is_a_setting(manifest: Manifest) -> None:
    if manifest.kind == "ConfigMap":
        names = set(manifest.body["data"])
    else:
        names = {variable["name"] for each in manifests.containers(manifest) for variable in each.get("env", ())}
    for name in names:
        if name.startswith("SAFELIGHT_"):
            field, _, inner = name.removeprefix("SAFELIGHT_").lower().partition("__")
            assert field in Settings.model_fields, name
            annotation = Settings.model_fields[field].annotation
            assert not inner or inner in getattr(annotation, "model_fields", {}), name


def test_the_settings_that_are_shared_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    (config,) = manifests.of_kind("ConfigMap")
    for name, value in config.body["data"].items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.nats_replicas == manifests.of_kind("StatefulSet")[0].spec["replicas"]
    assert settings.shutdown_timeout_s == float(config.body["data"]["SAFELIGHT_SHUTDOWN_TIMEOUT_S"])


@OURS
def test_what_is_kept_on_the_disk_of_a_pod_fits_its_volume(workload: Manifest) -> None:
    (config,) = manifests.of_kind("ConfigMap")
    (data,) = [volume for volume in manifests.pod(workload)["volumes"] if volume["name"] == "data"]
    assert int(config.body["data"]["SAFELIGHT_OBJECTS_CACHE_BYTES"]) < gibibytes(data["emptyDir"]["sizeLimit"]) << 30


@OURS
def test_the_end_of_a_pod_leaves_time_for_all_that_a_stop_does(workload: Manifest) -> None:
    (config,) = manifests.of_kind("ConfigMap")
    needed_s = float(config.body["data"]["SAFELIGHT_SHUTDOWN_TIMEOUT_S"]) + GOODBYES_S
    if "safelight/pool" in manifests.pod_labels(workload):
        needed_s += float(config.body["data"]["SAFELIGHT_DRAIN_S"])
    for container in manifests.pod(workload)["containers"]:
        if "lifecycle" in container:
            command = container["lifecycle"]["preStop"]["exec"]["command"]
            assert command[0] == "sleep"
            needed_s += float(command[1])
    assert manifests.pod(workload)["terminationGracePeriodSeconds"] > needed_s


@OURS
def test_every_image_of_ours_is_a_target_of_the_dockerfile(workload: Manifest) -> None:
    for container in manifests.containers(workload):
        name, _, tag = container["image"].partition(":")
        assert name in {image["name"] for image in kustomization()["images"]}
        assert tag in STAGES


@OURS
def test_what_a_pod_runs_is_a_command_with_those_flags(workload: Manifest) -> None:
    for container in manifests.containers(workload):
        taken_apart(container["args"])


@OURS
def test_a_pod_listens_at_the_port_that_is_named(workload: Manifest) -> None:
    (container,) = manifests.pod(workload)["containers"]
    given = container["args"][container["args"].index("--port") + 1]
    assert [int(given)] == list(ports(workload).values())
    annotations = workload.spec["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == given


@WORKLOADS
def test_every_probe_asks_a_port_that_is_open(workload: Manifest) -> None:
    for probe in probes(workload):
        assert probe["httpGet"]["port"] in ports(workload)


@OURS
def test_every_path_that_is_asked_for_is_a_route(workload: Manifest) -> None:
    routes = {route.path for route in ROUTES if isinstance(route, Route)}
    (container,) = manifests.pod(workload)["containers"]
    assert {probe["httpGet"]["path"] for probe in probes(workload)} <= routes
    assert container["readinessProbe"]["httpGet"]["path"].endswith("/ready")
    assert container["livenessProbe"]["httpGet"]["path"].endswith("/live")
    assert workload.spec["template"]["metadata"]["annotations"]["prometheus.io/path"] in routes


@OURS
def test_a_rollout_is_not_called_failed_before_a_pod_may_be(workload: Manifest) -> None:
    for container in manifests.pod(workload)["containers"]:
        probe = container["startupProbe"]
        assert workload.spec["progressDeadlineSeconds"] > probe["periodSeconds"] * probe["failureThreshold"]


def test_a_rolling_update_never_has_fewer_gateways() -> None:
    (gateway,) = [each for each in manifests.of_kind("Deployment") if each.name == "gateway"]
    assert gateway.spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


# ---- what autoscalers ask for, which no schema describes -------------------------------------------------------------


def test_what_autoscalers_of_workers_ask_for_is_made_by_the_rules() -> None:
    asked = {
        metric["external"]["metric"]["name"]
        for autoscaler in manifests.of_kind("HorizontalPodAutoscaler")
        for metric in autoscaler.spec["metrics"]
        if metric["type"] == "External"
    }
    rules = ADAPTER["rules"]["external"]
    assert asked == {rule["name"]["as"] for rule in rules}
    for rule in rules:
        assert rule["resources"] == {"overrides": {"namespace": {"resource": "namespace"}}}
        assert rule["metricsQuery"].count("(") == rule["metricsQuery"].count(")")


def test_rules_are_made_of_metrics_that_exist() -> None:
    operations = (REPOSITORY / "docs" / "operations.md").read_text("utf-8")
    for rule in ADAPTER["rules"]["external"]:
        for name in re.findall(r"\bsafelight_\w+", f"{rule['seriesQuery']} {rule['metricsQuery']}"):
            assert f"\n| `{name}` | gauge |" in operations, name


def test_rules_name_the_pods_of_a_deployment() -> None:
    names = [each.name for each in manifests.of_kind("Deployment")]
    for rule in ADAPTER["rules"]["external"]:
        (pattern,) = re.findall(r'pod=~"([^"]+)"', rule["metricsQuery"])
        assert len([name for name in names if re.fullmatch(pattern, f"{name}-5d4f8c7b9-abcde")]) == 1


# ---- the kustomization -----------------------------------------------------------------------------------------------


def test_the_kustomization_takes_every_file_but_the_example_of_a_secret() -> None:
    files = {manifest.path.name for manifest in manifests.manifests()}
    assert set(kustomization()["resources"]) == files - {manifests.EXAMPLE.name}
    assert len(kustomization()["resources"]) == len(set(kustomization()["resources"]))
    for generator in kustomization()["configMapGenerator"]:
        assert all((manifests.FOLDER / name).is_file() for name in generator["files"])


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl")
def test_kubectl_builds_the_kustomization() -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", str(manifests.FOLDER)], capture_output=True, text=True, check=False, timeout=60
    )
    assert built.returncode == 0, built.stderr
    bodies = list(yaml.safe_load_all(built.stdout))
    for body in bodies:
        kubernetes_validate.validate(body, KUBERNETES[-1], strict=True)
    kinds = [body["kind"] for body in bodies]
    expected = [each.kind for each in manifests.manifests() if each.path != manifests.EXAMPLE]
    assert sorted(kinds) == sorted([*expected, "ConfigMap"])  # and the one that is generated
    assert "image: safelight:" not in built.stdout  # each has the name of a registry


def gibibytes(quantity: str) -> int:
    assert quantity.endswith("Gi")
    return int(quantity.removesuffix("Gi"))
