"""The machine a run was made on: figures of different machines are not to be compared."""

import os
import platform
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from protocol.version import SOFTWARE_VERSION

_PACKAGES: Final = (
    "uvicorn",
    "uvloop",
    "httptools",
    "starlette",
    "websockets",
    "pydantic",
    "orjson",
    "msgpack",
    "torch",
    "diffusers",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where, with what, and how busy it was."""

    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    safelight: str
    sqlite: str
    packages: Mapping[str, str]
    load_average: tuple[float, float, float]
    """Over 1, 5 and 15 minutes, before the run."""

    def lines(self) -> list[str]:
        packages = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        return [
            f"{self.cpu}, {self.cores} cores, {self.memory_gib:.0f} GiB, Linux {self.kernel}",
            f"Python {self.python}, Safelight {self.safelight}, SQLite {self.sqlite}, {packages}",
            "load average {:.2f} {:.2f} {:.2f}".format(*self.load_average),
        ]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def this_machine() -> Machine:
    """Look at the machine as it is now."""
    return Machine(
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        kernel=platform.release(),
        python=platform.python_version(),
        safelight=SOFTWARE_VERSION,
        sqlite=sqlite3.sqlite_version,
        packages={name: metadata.version(name) for name in _PACKAGES},
        load_average=os.getloadavg(),
    )


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
