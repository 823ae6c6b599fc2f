"""What is generated for the JavaScript client is what the protocol and its source make it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers import DEADLINE_S, REPOSITORY
from tools.javascript_protocol import outdated

CLIENT = REPOSITORY / "web" / "client"
TSC = REPOSITORY / "node_modules" / ".bin" / "tsc"
IMPORT = re.compile(r"""(?:^import|^export|^} ) ?.*?from "([^"]+)";$""", re.MULTILINE)


def test_names_and_types_are_those_of_the_protocol() -> None:
    assert [path.name for path in outdated()] == [], "make generate"


@pytest.mark.skipif(
    not TSC.exists() or shutil.which("node") is None, reason="the type checker of web/ is not installed"
)
def test_declarations_are_those_of_the_source(tmp_path: Path) -> None:
    command = [TSC, "--project", REPOSITORY / "tsconfig.client.json", "--outDir", tmp_path]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=6 * DEADLINE_S)
    assert run.returncode == 0, run.stdout
    made = {path.name: path.read_text() for path in tmp_path.rglob("*.d.ts")}
    kept = {path.name: path.read_text() for path in (CLIENT / "types").glob("*.d.ts") if path.name != "wire.d.ts"}
    assert sorted(made) == sorted(kept), "make generate"
    assert [name for name in made if made[name] != kept[name]] == [], "make generate"


def test_the_client_imports_nothing_from_outside_its_folder() -> None:
    imports = {(path.name, name) for path in CLIENT.glob("*.js") for name in IMPORT.findall(path.read_text())}
    assert len(imports) > 20
    assert [pair for pair in sorted(imports) if not re.fullmatch(r"\./[a-z-]+\.js", pair[1])] == []


@pytest.mark.parametrize("name", ["api", "safelight", "job"])
def test_every_call_of_the_client_is_in_its_page(name: str) -> None:
    page = (REPOSITORY / "docs" / "javascript.md").read_text("utf-8")
    declared = (CLIENT / "types" / f"{name}.d.ts").read_text("utf-8").partition("declare class")[2]
    calls = re.findall(r"^    (?:async )?([a-z]\w+)\(", declared, re.MULTILINE)
    assert len(calls) >= 5
    assert [call for call in calls if call != "constructor" and not re.search(rf"`[^`]*\b{call}\(", page)] == []


def test_what_checks_the_page_is_pinned_and_names_no_host() -> None:
    wanted = json.loads((REPOSITORY / "package.json").read_text())
    lock = (REPOSITORY / "package-lock.json").read_text()
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted["devDependencies"].values())
    assert json.loads(lock)["packages"][""]["devDependencies"] == wanted["devDependencies"]
    assert "resolved" not in lock
    assert "://" not in lock
