"""Pictures per second of models of the real sizes, several jobs at once, beside stock diffusers on the same weights.

Stock diffusers makes the same pictures one after another, and as one batch. The weights are random: what is drawn is
noise, and takes as long as a picture. It needs a CUDA device; `--tiny` rehearses all of it on any, a few channels wide.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from bench.local_engine import LocalEngine, local_engine
from bench.measure import Goal, Measure, Round, Skipped, compare
from bench.random_models import Size, write_model
from bench.stock import make_files, stock_pipeline
from engine.diffusion.quiet import quieten

_GOAL: Final = 2.0
_GOAL_PX: Final = 512
"""The goal is for pictures of this size."""
_COUNTS: Final = (1, 2, 4, 8)
_GUIDANCE: Final = 5.0
_TINY_PX: Final = 64


@dataclass(frozen=True, slots=True)
class _Picture:
    """What is asked for."""

    model: str
    side_px: int
    steps: int

    def params(self, seed: int) -> dict[str, Any]:
        """Of one job for our engine."""
        return {"prompt": _prompt(seed), "model": self.model, "seed": seed, "width": self.side_px} | {
            "height": self.side_px,
            "steps": self.steps,
            "guidance_scale": _GUIDANCE,
        }

    def options(self) -> dict[str, Any]:
        """Of the stock pipeline's call."""
        side = {"width": self.side_px, "height": self.side_px}
        return {**side, "num_inference_steps": self.steps, "guidance_scale": _GUIDANCE}


def run(
    *, quick: bool = False, tiny: bool = False, steps: int = 20, counts: Sequence[int] = _COUNTS, rounds: int = 3
) -> list[Measure]:
    """Every size, at every number of jobs.

    Args:
        tiny: models a few channels wide and pictures of 64 px, on whatever device there is: a rehearsal, whose
            figures say nothing.

    Raises:
        Skipped: there is no CUDA device, and this is no rehearsal.
    """
    if not tiny and not torch.cuda.is_available():
        build = f"torch {torch.__version__}" + (" has no CUDA" if torch.version.cuda is None else " finds no GPU")
        raise Skipped(f"it needs a CUDA device: {build}; `--tiny` rehearses it")
    quieten()
    if quick:
        steps, rounds = min(steps, 8), 1
    measures = []
    for size, sides in ((Size.SD1, (512,)), (Size.SDXL, (512, 1024))):
        name = f"{size.value}-{'rehearsal' if tiny else 'size'}"
        with tempfile.TemporaryDirectory(prefix="safelight-bench-") as place:
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            write_model(size, Path(place) / name, device=device, tiny=tiny)
            with local_engine(Path(place) / "models", Path(place) / name) as ours:
                load = partial(stock_pipeline, Path(place) / name, ours.device.torch_device, ours.dtype(name))
                stock = ours.on_its_thread(load)
                for side_px in (_TINY_PX,) if tiny else sides:
                    picture = _Picture(name, side_px, steps)
                    for count in counts:
                        measures += _together(ours, stock, picture, count, rounds)
                del stock, load
    return measures


def _together(ours: LocalEngine, stock: Any, picture: _Picture, count: int, rounds: int) -> list[Measure]:
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: ours.generate(*(picture.params(seed) for seed in range(count))),
        "stock, one after another": lambda: ours.on_its_thread(partial(_in_turn, stock, picture, count)),
        "stock, one batch": lambda: ours.on_its_thread(partial(_as_one, stock, picture, count)),
    }
    if count == 1:
        del ways["stock, one batch"]
    ways["ours"]()  # learns how long a forward of so many rows takes
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, make in ways.items():
            began_at = time.perf_counter()
            is_made = make() is not False
            speed = count / (time.perf_counter() - began_at)
            if number and is_made:  # the first round loads kernels, and makes room
                speeds[way].append(speed)
    device = _device_name(ours.device.torch_device)
    measures = []
    for way, theirs in speeds.items():
        if way == "ours" or not theirs:  # a batch that does not fit the device is left out
            continue
        is_goal = count > 1 and way != "stock, one batch" and picture.side_px == _GOAL_PX
        measures.append(
            compare(
                f"pictures per second, {picture.model}, {picture.side_px} px, {count} at once",
                [Round(*pair) for pair in zip(speeds["ours"], theirs, strict=True)],
                unit="/s",
                against=way,
                goal=Goal.AT_LEAST if is_goal else None,
                limit=_GOAL,
                note=f"{picture.steps} steps, {device}",
            )
        )
    return measures


def _in_turn(stock: Any, picture: _Picture, count: int) -> None:
    for seed in range(count):
        make_files(stock, [_prompt(seed)], [seed], **picture.options())


def _as_one(stock: Any, picture: _Picture, count: int) -> bool:
    """Whether the device had memory for it."""
    seeds = range(count)
    try:
        make_files(stock, [_prompt(seed) for seed in seeds], seeds, **picture.options())
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return False
    return True


def _prompt(seed: int) -> str:
    return f"picture number {seed}"


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
