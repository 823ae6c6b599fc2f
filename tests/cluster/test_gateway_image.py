"""A gateway works with what its image has installed: the packages a plain `pip install safelight` brings, no more.

The image itself has not been built. Here every module that comes from another package cannot be imported.
"""

import base64
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from io import BytesIO
from pathlib import Path

import httpx
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from tests.clusters import Cluster
from tests.servers import REPOSITORY

PROGRAM = """
import sys
from importlib.machinery import PathFinder

class Missing(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition('.')[0] in {missing}:
            raise ModuleNotFoundError(f'No module named {{name!r}}: it is not in the image of a gateway', name=name)
        return None

sys.meta_path.insert(0, Missing)
from safelight.cli import main
main()
"""


def installed_in_image() -> set[str]:
    """The packages that the dependencies of pyproject.toml come to, all of theirs included."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    found, open_ = set[str](), [Requirement(line) for line in project["dependencies"]]
    while open_:
        requirement = open_.pop()
        name = canonicalize_name(requirement.name)
        environments = [{"extra": extra} for extra in ("", *sorted(requirement.extras))]
        key = f"{name}[{','.join(sorted(requirement.extras))}]"
        if key in found:
            continue
        found |= {key, name}
        try:
            lines = requires(requirement.name) or ()
        except PackageNotFoundError:  # not for this Python, or this system
            continue
        for line in lines:
            inner = Requirement(line)
            if inner.marker is None or any(inner.marker.evaluate(environment) for environment in environments):
                open_.append(inner)
    return found


def missing_in_image() -> set[str]:
    """The modules that are installed here and not there."""
    there = installed_in_image()
    return {
        module
        for module, packages in packages_distributions().items()
        if module.isidentifier() and not {canonicalize_name(package) for package in packages} & (there | {"safelight"})
    }


def test_the_image_has_nothing_that_touches_a_tensor() -> None:
    assert {"torch", "diffusers", "transformers", "cv2", "onnxruntime", "safetensors"} <= missing_in_image()
    assert {"starlette", "numpy", "PIL", "nats", "obstore"}.isdisjoint(missing_in_image())


def test_a_gateway_without_the_engines_packages_takes_jobs_and_shows_them(tmp_path: Path) -> None:
    program = ("-c", PROGRAM.format(missing=missing_in_image()))
    with Cluster(tmp_path, gateways=1, workers=1, program=program) as cluster:
        (gateway,) = cluster.gateways
        with httpx.Client(base_url=gateway.url, timeout=30, trust_env=False) as client:
            ended = client.post(
                "/v1/jobs",
                json={"task": "test_pattern", "params": {"width": 64, "height": 64, "steps": 2}},
                headers={"Prefer": "wait=20"},
            ).json()
            assert ended["status"] == "succeeded"
            assert Image.open(BytesIO(client.get(f"/v1/jobs/{ended['id']}/outputs/0").content)).size == (64, 64)
            small = client.get(f"/v1/jobs/{ended['id']}/outputs/0", params={"max_side_px": 16})
            assert Image.open(BytesIO(small.content)).size == (16, 16)

            upload = client.post("/v1/uploads", content=picture(), headers={"Content-Type": "image/png"}).json()
            edited = client.post(
                "/v1/jobs",
                json={
                    "task": "erase",
                    "params": {"image": f"upload:{upload['id']}", "mask": base64.b64encode(picture(24)).decode()},
                },
                headers={"Prefer": "wait=20"},
            )
            assert edited.json()["status"] == "succeeded", edited.json()["error"]
            made = client.post(
                "/v1/jobs",
                json={"task": "text_to_image", "params": {"prompt": "a red apple", "steps": 2}},
                headers={"Prefer": "wait=20"},
            )
            assert made.json()["status"] == "succeeded", made.json()["error"]
            for path in ("/", "/docs", "/v1/models", "/v1/styles", "/v1/presets", "/v1/server", "/api/v1/model"):
                assert client.get(path).is_success, path
        assert gateway.stop() in {0, -15}
        assert "Traceback" not in gateway.log


def picture(white_px: int = 64) -> bytes:
    """A small PNG, black but for a white square."""
    held, drawn = BytesIO(), Image.new("L", (64, 64))
    drawn.paste(255, (0, 0, white_px, white_px))
    drawn.save(held, "PNG")
    return held.getvalue()
