"""What the kernel knows of a process: processor time and memory. Linux only."""

import os
from pathlib import Path
from typing import Final

_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
_NS: Final = 1e-9


def cpu_s(pid: int) -> float:
    """Processor time of all living threads of a process so far, seconds.

    From `schedstat`, which counts nanoseconds, where the kernel keeps it; else from `stat`, which counts ticks.
    """
    total_ns = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total_ns += int((task / "schedstat").read_text().split()[0])
    except FileNotFoundError:
        return _ticks(pid) * _TICK_S
    return total_ns * _NS


def _ticks(pid: int) -> int:
    # The name of the command stands in brackets and may hold anything; after it the fields are numbers.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory_kib(pid: int) -> int:
    """Proportional set size: own pages, and a share of those that several processes have."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError(f"/proc/{pid}/smaps_rollup: has no Pss")
