"""From submit to the end of the first step, when the job before had another model: loaded anew, or in memory as well.

The file cache is warm: the files were read a moment ago. Beside it `from_pretrained` of the same folder, which ends
where our first step begins.
"""

import shutil
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.local_engine import LocalEngine, Made, local_engine
from bench.measure import Measure, Round, compare
from bench.stock import stock_pipeline
from engine.diffusion.quiet import quieten
from engine.library.roots import EMBEDDED_DIR

_PROMPT: Final = "a red apple"
_NAMES: Final = ("first", "second")


def run(*, quick: bool = False, folder: Path = EMBEDDED_DIR, rounds: int | None = None) -> list[Measure]:
    """Two copies of one model, taken in turn.

    Args:
        folder: of the model, a diffusers folder.
    """
    rounds = rounds or (4 if quick else 16)
    quieten()
    with tempfile.TemporaryDirectory(prefix="safelight-bench-") as place:
        copies = [Path(place) / name for name in _NAMES]
        for copy in copies:
            shutil.copytree(folder, copy)
        with local_engine(Path(place) / "models", *copies, model_budget_bytes=1) as ours:
            loaded = _loaded(ours, copies, rounds)
        with local_engine(Path(place) / "models", *copies) as ours:
            resident = _resident(ours, rounds)
    return [loaded, resident]


def _loaded(ours: LocalEngine, copies: list[Path], rounds: int) -> Measure:
    """There is room for one of them: each job drops the model of the one before, and loads its own."""
    dtype = ours.dtype(copies[0].name)
    taken, stages_s = [], Counter[str]()
    for number in range(rounds + 2):
        copy = copies[number % 2]
        made = _make(ours, copy.name)
        load = partial(stock_pipeline, copy, ours.device.torch_device, dtype)
        reference_s = ours.on_its_thread(partial(_seconds, load))
        if number >= len(copies):  # by then each was read once, and what is measured once per model is known
            taken.append(Round(made.until_first_step_s, reference_s))
            stages_s.update({stage: seconds for stage, seconds in made.timings.items() if stage in ("read", "load")})
    stages = ", ".join(f"{stage} {seconds / rounds:.2f} s" for stage, seconds in stages_s.items())
    return compare(
        "submit to first step, another model to be loaded", taken, unit="s", against="from_pretrained", note=stages
    )


def _resident(ours: LocalEngine, rounds: int) -> Measure:
    for name in _NAMES:
        _make(ours, name)
    taken = []
    for _ in range(rounds):
        _make(ours, _NAMES[0])
        ours_s, reference_s = (_make(ours, name).until_first_step_s for name in (_NAMES[1], _NAMES[1]))
        taken.append(Round(ours_s, reference_s))
    return compare("submit to first step, another model in memory", taken, unit="s", against="the same model")


def _make(ours: LocalEngine, model: str) -> Made:
    params: dict[str, Any] = {"prompt": _PROMPT, "model": model, "steps": 2, "seed": 0}
    (made,) = ours.generate(params)
    return made


def _seconds(load: partial[Any]) -> float:
    began_at = time.perf_counter()
    load()
    return time.perf_counter() - began_at
