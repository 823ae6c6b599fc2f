"""`python -m bench [NAME...] [--quick] [--json FILE]`: measure, print, and say which goals are met."""

import argparse
import logging
import signal
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

import structlog

from bench.machine import this_machine
from bench.measure import Measure, Skipped
from bench.report import table, write_json

BENCHMARKS: Final = (
    "start",
    "memory",
    "first_event",
    "null_jobs",
    "poll",
    "waiting",
    "latency",
    "fanout",
    "pictures",
    "inpainting",
    "steps",
    "previews",
    "switching",
    "throughput",
    "page",
    "cluster",
)
"""Modules of this package; each has `run(*, quick) -> list[Measure]`, which may raise `Skipped`."""
REHEARSED: Final = frozenset({"throughput"})
"""Those whose `run` takes `tiny` as well."""


def main() -> None:
    """Run what the command line names; ends with 0 whether goals are met or not."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all if none is given")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller rounds: about three minutes")
    rehearsed = ", ".join(sorted(REHEARSED))
    parser.add_argument("--tiny", action="store_true", help=f"rehearse {rehearsed} on models a few channels wide")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no benchmark is named {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers under test are stopped too
    # What the engine tells its log is of no interest here.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    machine = this_machine()
    print("\n".join(machine.lines()), flush=True)
    results: dict[str, list[Measure]] = {}
    for name in arguments.names or BENCHMARKS:
        began_at = time.monotonic()
        options = {"tiny": True} if arguments.tiny and name in REHEARSED else {}
        try:
            results[name] = _benchmark(name)(quick=arguments.quick, **options)
        except Skipped as skipped:
            print(f"\n{name}: skipped, {skipped}", flush=True)
            continue
        print(f"\n{name} ({time.monotonic() - began_at:.0f} s)")
        print("\n".join(table(results[name])), flush=True)
    print(f"\n{_summary(results)}")
    if arguments.json is not None:
        write_json(arguments.json, machine, results)


def _benchmark(name: str) -> Callable[..., list[Measure]]:
    run: Callable[..., list[Measure]] = import_module(f"bench.{name}").run
    return run


def _summary(results: Mapping[str, list[Measure]]) -> str:
    verdicts = [each.is_met for measures in results.values() for each in measures if each.goal is not None]
    return f"{sum(map(bool, verdicts))} of {len(verdicts)} goals met"


if __name__ == "__main__":
    main()
