"""The manifests under deploy/kubernetes, as tests read them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.servers import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "kubernetes"
KUSTOMIZATION = FOLDER / "kustomization.yaml"
EXAMPLE = FOLDER / "secret.example.yaml"


@dataclass(frozen=True)
class Manifest:
    """One document of one file."""

    path: Path
    body: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.body["spec"]
        return spec

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@cache
def manifests() -> tuple[Manifest, ...]:
    """Every document of every file but the kustomization; the example of a secret among them."""
    return tuple(
        Manifest(path, body)
        for path in sorted(FOLDER.glob("*.yaml"))
        if path != KUSTOMIZATION
        for body in yaml.safe_load_all(path.read_text("utf-8"))
    )


def of_kind(*kinds: str) -> tuple[Manifest, ...]:
    return tuple(manifest for manifest in manifests() if manifest.kind in kinds)


def workloads() -> tuple[Manifest, ...]:
    """Those that make pods."""
    return of_kind("Deployment", "StatefulSet")


def pod(workload: Manifest) -> Mapping[str, Any]:
    """The specification of its pods."""
    spec: Mapping[str, Any] = workload.spec["template"]["spec"]
    return spec


def pod_labels(workload: Manifest) -> Mapping[str, str]:
    labels: Mapping[str, str] = workload.spec["template"]["metadata"]["labels"]
    return labels


def containers(workload: Manifest) -> Iterator[Mapping[str, Any]]:
    """Those of its pods, the ones that run first included."""
    spec = pod(workload)
    yield from spec.get("initContainers", ())
    yield from spec["containers"]


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a selector, in either of the two ways they are written, chooses what has these labels."""
    if not selector.keys() & {"matchLabels", "matchExpressions"}:
        selector = {"matchLabels": selector}
    if any(labels.get(name) != value for name, value in selector.get("matchLabels", {}).items()):
        return False
    for expression in selector.get("matchExpressions", ()):
        assert expression["operator"] == "In"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True
