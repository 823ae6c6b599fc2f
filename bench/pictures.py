"""What a picture costs on our engine, beside the bare diffusers pipeline on the same model in the same run.

Ours is the whole service in a process of its own, over one WebSocket; the reference is the stock pipeline in this one,
which waits meanwhile. Both have all cores.
"""

import contextlib
import io
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from bench import servers
from bench.measure import Goal, Measure, Round, compare
from bench.stock import stock_pipeline
from engine.diffusion.quiet import quieten
from engine.library.roots import EMBEDDED_DIR
from protocol.events import StepFinished
from safelight import Client

_PROMPT: Final = "a red apple"
_GUIDANCE: Final = 3.5
_SIZE_PX: Final = 256
_HOLE: Final = {"x": 80, "y": 80, "width": 60, "height": 60}
_WAIT_S: Final = 600.0

Reference = Callable[[int], Any]
"""Makes one picture from a seed, and gives it."""


def run(
    *, quick: bool = False, folder: Path = EMBEDDED_DIR, steps: int = 20, rounds: int | None = None
) -> list[Measure]:
    """All of it on one model.

    Args:
        folder: of the model, a diffusers folder.
        steps: of every picture but the long one's, which has 50.
    """
    rounds = rounds or (3 if quick else 9)
    quieten()
    with (
        tempfile.TemporaryDirectory(prefix="safelight-bench-") as place,
        # A thread that ends, and its OpenMP threads with it: they would slow the benchmarks that come after this one.
        ThreadPoolExecutor(1) as stock,
        _ours(Path(place), folder) as client,
    ):
        make = stock.submit(_bare_pipeline, folder, steps).result()

        def bare(seed: int) -> Any:
            return stock.submit(make, seed).result()

        return [
            _alone(client, bare, folder.name, steps, rounds),
            *(_together(client, folder.name, steps, count, rounds) for count in (2, 4, 8)),
            _wait_of_an_erase(client, folder.name, bare(0), rounds),
        ]


@contextlib.contextmanager
def _ours(place: Path, folder: Path) -> Iterator[Client]:
    port = servers.free_port()
    environment = {"SAFELIGHT_MODEL_FOLDERS": str(folder), "SAFELIGHT_MODELS_DIR": str(place / "models")}
    arguments = ["safelight", "serve", "--port", str(port), "--data-dir", str(place / "data")]
    with servers.run(arguments, port, environment) as server:
        servers.wait_until_healthy(server, "/v1/health/ready")
        with Client(f"http://127.0.0.1:{port}") as client:
            yield client


def _bare_pipeline(folder: Path, steps: int) -> Reference:
    pipeline = stock_pipeline(folder)

    def make(seed: int) -> Any:
        generator = torch.Generator().manual_seed(seed)
        made = pipeline(_PROMPT, num_inference_steps=steps, guidance_scale=_GUIDANCE, generator=generator)
        (image,) = made.images
        image.resize((_SIZE_PX, _SIZE_PX)).save(io.BytesIO(), "PNG")
        return image

    return make


def _params(model: str, steps: int, seed: int) -> dict[str, Any]:
    return {"prompt": _PROMPT, "model": model, "steps": steps, "guidance_scale": _GUIDANCE, "seed": seed}


def _seconds(work: Callable[[], object]) -> float:
    began_at = time.perf_counter()
    work()
    return time.perf_counter() - began_at


def _alone(client: Client, bare: Reference, model: str, steps: int, rounds: int) -> Measure:
    """From submit to the end, with previews and the file stored; the reference ends with an encoded file too."""
    taken = []
    for number in range(rounds + 1):
        ours = _seconds(partial(client.run, "text_to_image", **_params(model, steps, number)))
        reference = _seconds(partial(bare, number))
        if number:  # the first round loads the model
            taken.append(Round(ours, reference))
    return compare(
        f"one picture of {steps} steps, previews on",
        taken,
        unit="s",
        against="bare pipeline",
        goal=Goal.AT_MOST,
        limit=1.03,
    )


def _together(client: Client, model: str, steps: int, count: int, rounds: int) -> Measure:
    """Pictures per second, all asked for at once, and one asked for when the one before is done."""

    def make(seed: int) -> object:
        return client.run("text_to_image", previews="none", **_params(model, steps, seed))

    def at_once() -> None:
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(make, range(count)))

    def in_turn() -> None:
        for seed in range(count):
            make(seed)

    at_once()  # learns how long a forward of so many rows takes
    taken = [Round(count / _seconds(at_once), count / _seconds(in_turn)) for _ in range(rounds)]
    return compare(
        f"pictures per second, {count} jobs at once",
        taken,
        unit="/s",
        against="one after another",
        goal=Goal.AT_LEAST,
        limit=1.5,
    )


class _StepTimes:
    """When the steps of a job were heard of.

    Attributes:
        at: by the performance counter, in seconds.
    """

    def __init__(self, job: Any) -> None:
        self.at: list[float] = []
        self._job = job
        self._is_heard = threading.Event()

    def watch(self) -> None:
        """Listen until the job has ended."""
        try:
            for event in self._job.events():
                if isinstance(event.body, StepFinished):
                    self.at.append(time.perf_counter())
                    self._is_heard.set()
        finally:
            self._is_heard.set()  # also when there was none, so that nobody waits for it

    def wait_for_the_first(self) -> None:
        """Returns when a step was heard of.

        Raises:
            RuntimeError: the job ended without one.
        """
        self._is_heard.wait(_WAIT_S)
        if not self.at:
            raise RuntimeError("the long job ended before its first step")


def _wait_of_an_erase(client: Client, model: str, image: Any, rounds: int) -> Measure:
    """Steps of a long job that pass between the start of an `erase` and its end."""
    file = io.BytesIO()
    image.resize((_SIZE_PX, _SIZE_PX)).save(file, "PNG")
    taken = []
    for _ in range(rounds):
        long_job = client.submit("text_to_image", previews="none", images=8, **_params(model, 50, 1))
        steps = _StepTimes(long_job)
        with ThreadPoolExecutor(1) as pool:
            watching = pool.submit(steps.watch)
            steps.wait_for_the_first()
            began_at = time.perf_counter()
            client.run("erase", image=file.getvalue(), regions=[_HOLE], previews="none")
            ended_at = time.perf_counter()
            long_job.cancel()
            watching.result(_WAIT_S)
        passed = sum(began_at < at < ended_at for at in steps.at)
        taken.append(Round(max(passed, 1), 1))
    return compare(
        "steps of a 50-step job an erase waits for",
        taken,
        unit="steps",
        against="one step",
        goal=Goal.AT_MOST,
        limit=1.0,
    )
