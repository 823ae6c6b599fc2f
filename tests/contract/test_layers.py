"""Who may import whom: `service -> engine.interface -> protocol`, `safelight -> protocol`, and never back.

Once by reading every import statement, wherever it stands, and once by importing without what must not be needed.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("protocol", "engine", "service", "safelight")
SEES_ALL = (
    "service.wiring",
    "service.engine_wiring",
    "service.gateway_wiring",
    "service.worker_wiring",
    "safelight.cli",
    "safelight.commands",
    "safelight.demo",
    "safelight.__main__",
)
"""The modules, and the package, that put the parts together."""

MAY_IMPORT = {
    "protocol": ("protocol",),
    "engine": ("protocol", "engine"),
    "service": ("protocol", "engine.interface", "service"),
    "safelight": ("protocol", "safelight"),
}
"""Package -> the parts of ours it may import."""

TENSORS = ("torch", "torchvision", "cv2", "onnxruntime", "rapidocr", "patchmatch", "diffusers", "transformers")
SERVERS = ("starlette", "uvicorn", "sse_starlette", "aiosqlite", "sqlite3")
MUST_NOT_NAME = {
    "protocol": (*TENSORS, *SERVERS, "numpy", "PIL", "httpx", "websockets", "asyncio"),
    "engine": (*SERVERS, "websockets", "torchvision"),
    "service": (*TENSORS, "numpy"),
    "safelight": (*TENSORS, *SERVERS, "numpy"),
}
"""Package -> what it may not import of others'."""


class Import(NamedTuple):
    """One import statement: `module` imports `target` at `line`."""

    module: str
    target: str
    line: int


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def modules(*packages: str) -> list[str]:
    return [module_name(path) for package in packages for path in files(package)]


def imports(path: Path) -> Iterator[Import]:
    """Every import in a file, also inside functions and under TYPE_CHECKING; `from a import b` counts as `a.b`."""
    module = module_name(path)
    for node in ast.walk(ast.parse(path.read_text("utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; name the module in full"
            yield from (Import(module, f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def is_within(target: str, parents: tuple[str, ...]) -> bool:
    return any(target == parent or target.startswith(f"{parent}.") for parent in parents)


@pytest.fixture(scope="module")
def all_imports() -> list[Import]:
    return [found for package in PACKAGES for path in files(package) for found in imports(path)]


def test_there_is_something_to_look_at(all_imports: list[Import]) -> None:
    assert {found.module.split(".")[0] for found in all_imports} == set(PACKAGES)
    assert any(found.target == "protocol.errors.ErrorCode" for found in all_imports)


@pytest.mark.parametrize("package", PACKAGES)
def test_package_imports_only_what_lies_below_it(all_imports: list[Import], package: str) -> None:
    against = [
        found
        for found in all_imports
        if is_within(found.module, (package,))
        and not is_within(found.module, SEES_ALL)
        and is_within(found.target, PACKAGES)
        and not is_within(found.target, MAY_IMPORT[package])
    ]
    assert against == []


@pytest.mark.parametrize("package", PACKAGES)
def test_package_does_not_know_the_libraries_of_other_layers(all_imports: list[Import], package: str) -> None:
    against = [
        found
        for found in all_imports
        if is_within(found.module, (package,))
        and not is_within(found.module, SEES_ALL)
        and is_within(found.target, MUST_NOT_NAME[package])
    ]
    assert against == []


def test_nothing_is_built_on_the_command_line(all_imports: list[Import]) -> None:
    application = ("safelight.cli", "safelight.commands", "safelight.demo", "safelight.__main__")
    against = [
        found
        for found in all_imports
        if is_within(found.target, application) and not is_within(found.module, application)
    ]
    assert against == []


def test_nothing_imports_torchvision() -> None:
    everywhere = [path for folder in (*PACKAGES, "tests", "bench") for path in files(folder)]
    assert [found for path in everywhere for found in imports(path) if is_within(found.target, ("torchvision",))] == []


def test_torchvision_and_a_second_opencv_are_pinned_nowhere() -> None:
    pinned = [line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()]
    assert "opencv-python-headless" in pinned
    assert {"torchvision", "opencv-python", "opencv-contrib-python"}.isdisjoint(pinned)


IMPORT_WITHOUT = """
import importlib, importlib.machinery, sys

class Path(importlib.machinery.PathFinder):
    # Does not find what is missing, like the one it stands for: whoever only asks whether it is there is told no.
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            return None
        return super().find_spec(name, path, target)

MISSING = set(sys.argv[1].split(","))
sys.meta_path[:] = [Path if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
for module in sys.argv[2].split(","):
    importlib.import_module(module)
"""


def import_without(missing: tuple[str, ...], wanted: list[str]) -> None:
    """Import `wanted` in a fresh interpreter in which `missing` cannot be imported."""
    command = [sys.executable, "-W", "error", "-c", IMPORT_WITHOUT, ",".join(missing), ",".join(wanted)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_protocol_can_be_imported_where_only_its_codecs_are_installed() -> None:
    import_without((*TENSORS, *SERVERS, "numpy", "PIL", "httpx", "websockets", "anyio"), modules("protocol"))


def test_interface_of_the_engine_can_be_imported_without_any_model_library() -> None:
    import_without((*TENSORS, *SERVERS, "numpy"), ["engine.interface"])


def test_service_can_be_imported_without_any_model_library() -> None:
    import_without((*TENSORS, "numpy"), modules("service"))


def test_client_can_be_imported_without_server_and_model_libraries() -> None:
    wanted = [module for module in modules("safelight") if not is_within(module, SEES_ALL)]
    import_without((*TENSORS, *SERVERS, "numpy"), wanted)


def test_command_line_starts_without_any_model_library() -> None:
    import_without(TENSORS, ["safelight.cli"])


def test_server_is_imported_without_what_speaks_socket_io() -> None:
    import_without(("socketio", "engineio", "requests", "urllib3"), ["service.main", "service.app", "safelight.cli"])


def test_engine_never_loads_torchvision() -> None:
    pytest.importorskip("torch")
    import_without(
        ("torchvision", *SERVERS[:3]), [module for module in modules("engine") if module != "engine.__main__"]
    )
