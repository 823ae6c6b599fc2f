"""The page's modules that need no browser, by Node's own test runner: one test there is one test here."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NODE = shutil.which("node")
CASES = [
    pytest.param(path.name, name, id=f"{path.stem}: {name}")
    for path in sorted(HERE.glob("*.test.js"))
    for name in re.findall(r'^test\("([^"]+)"', path.read_text(), re.MULTILINE)
]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    """`FILE: NAME` -> `ok`, or what Node said of the failure."""
    if NODE is None:
        pytest.skip("no Node on the PATH")
    found: dict[str, str] = {}
    for path in sorted(HERE.glob("*.test.js")):
        # TAP is the one output of Node 20 and later that is made to be read by programs.
        command = [NODE, "--test-reporter=tap", str(path)]
        text = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout
        for part in re.split(r"(?m)^(?=(?:not )?ok \d+ - )", text)[1:]:
            head, _, details = part.partition("\n")
            is_good, name = head.startswith("ok"), head.split(" - ", 1)[1].strip()
            found[f"{path.name}: {name}"] = "ok" if is_good else details or "not ok"
    return found


@pytest.mark.parametrize(("file", "name"), CASES)
def test_module(outcomes: dict[str, str], file: str, name: str) -> None:
    assert outcomes.get(f"{file}: {name}", "did not run") == "ok"
