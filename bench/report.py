"""Measures as a table for people and as JSON for machines."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.machine import Machine
from bench.measure import Measure

_VERDICT = {True: "met", False: "MISSED", None: ""}


def table(measures: Sequence[Measure]) -> list[str]:
    """Lines of a table, one measure each, notes below."""
    lines = []
    for each in measures:
        goal = f"goal {each.goal} {each.limit:g}" if each.goal is not None else "no goal"
        lines.append(
            f"{each.name:<52} ours {_number(each.ours):>8} {each.against} {_number(each.reference):>8} {each.unit:<10}"
            f" ratio {each.ratio:6.2f}  {goal:<12} {_VERDICT[each.is_met]}".rstrip()
        )
        if each.note:
            lines.append(f"    {each.note}")
    return lines


def write_json(path: Path, machine: Machine, results: Mapping[str, Sequence[Measure]]) -> None:
    """One document: the machine, and for each benchmark its measures."""
    document = {
        "machine": machine.as_dict(),
        "results": {name: [_fields(each) for each in measures] for name, measures in results.items()},
    }
    path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def _fields(measure: Measure) -> dict[str, Any]:
    fields = asdict(measure)
    if measure.goal is None:
        del fields["limit"]  # NaN is no JSON
    return {**fields, "is_met": measure.is_met}


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
