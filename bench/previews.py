"""What a preview of one step costs, by how it is made: the device's share and the side pool's, to the JPEG.

The reference is what it may cost. Last comes what a step takes longer when each has a preview, all of it real.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, Final

import torch

from bench.local_engine import LocalEngine, local_engine
from bench.measure import Goal, Measure, Round, compare
from bench.stock import stock_pipeline
from engine.context import JobContext
from engine.diffusion.latent_decoders import PreviewMethod, TimedDecoder
from engine.diffusion.latent_factors import grey
from engine.diffusion.previewer import Previewer
from engine.diffusion.previews import previewer_for
from engine.diffusion.quiet import quieten
from engine.diffusion.sizes import Size
from engine.interface import Order, Run
from engine.interface.engine import StoredOutput
from engine.library.roots import EMBEDDED_DIR
from protocol.editing import TestPatternParams
from protocol.events import EventBody
from protocol.requests import Previews, TaskName

_ALLOWED_MS: Final = 2.0
_LARGE: Final = (64, 128)
"""Sides of the latents of SD 1.5 at 512 px and of SDXL at 1024."""
_PLACE_PX: Final = 8
"""Pixels of one of those."""
_PROMPT: Final = "a red apple"


def run(
    *, quick: bool = False, folder: Path = EMBEDDED_DIR, steps: int = 50, rounds: int | None = None
) -> list[Measure]:
    """Every method on one model, and the linear one on latents of the usual sizes.

    Args:
        folder: of the model, a diffusers folder.
        steps: of the pictures with and without previews.
    """
    rounds = rounds or (20 if quick else 200)
    quieten()
    with tempfile.TemporaryDirectory() as place, local_engine(Path(place), folder) as ours:
        return [
            *_of_a_model(ours, folder, rounds),
            *ours.on_its_thread(partial(_of_large_latents, ours.device.torch_device, rounds)),
            _of_a_step(ours, folder.name, steps, max(1, rounds // 10)),
        ]


def _of_a_model(ours: LocalEngine, folder: Path, rounds: int) -> list[Measure]:
    pipeline = ours.on_its_thread(partial(stock_pipeline, folder, ours.device.torch_device))
    vae, unet = pipeline.vae, pipeline.unet.config
    side = unet.sample_size
    defaults = SimpleNamespace(width=side * pipeline.vae_scale_factor, height=side * pipeline.vae_scale_factor)
    tiny = _tiny_decoder(folder, vae.config.latent_channels).to(ours.device.torch_device)
    previewer = ours.through(previewer_for(SimpleNamespace(vae=vae, defaults=defaults), tiny_vae=tiny))
    ways = {
        PreviewMethod.LINEAR: Previewer(previewer.factors),
        PreviewMethod.TINY_DECODER: Previewer(
            previewer.factors, (TimedDecoder(tiny, PreviewMethod.TINY_DECODER, 0.0),)
        ),
        PreviewMethod.FULL_DECODER: Previewer(previewer.factors, (TimedDecoder(vae, PreviewMethod.FULL_DECODER, 0.0),)),
    }
    latents = torch.randn(1, vae.config.latent_channels, side, side, device=ours.device.torch_device)
    size = Size(defaults.width, defaults.height)
    chosen = previewer.method(side * side)
    show = partial(_compared, scheduler=pipeline.scheduler, latents=latents, size=size, rounds=rounds)
    return [
        ours.on_its_thread(
            partial(
                show,
                f"preview of {folder.name}, {method.value.replace('_', ' ')}",
                way,
                note="the server's choice here" if method is chosen else "",
                # What a server would not do is shown to be compared with.
                is_goal=method in (chosen, PreviewMethod.LINEAR),
            )
        )
        for method, way in ways.items()
    ]


def _of_large_latents(device: torch.device, rounds: int) -> list[Measure]:
    from diffusers import DDIMScheduler

    scheduler: Any = DDIMScheduler
    return [
        _compared(
            f"preview of {side} x {side} latents, linear",
            Previewer(grey(4)),
            scheduler=scheduler(),
            latents=torch.randn(1, 4, side, side, device=device),
            size=Size(side * _PLACE_PX, side * _PLACE_PX),
            rounds=rounds,
        )
        for side in _LARGE
    ]


def _compared(
    name: str,
    previewer: Previewer,
    *,
    scheduler: Any,
    latents: torch.Tensor,
    size: Size,
    rounds: int,
    note: str = "",
    is_goal: bool = True,
) -> Measure:
    """One preview after another of a job in the middle of its steps."""
    scheduler = type(scheduler).from_config(scheduler.config)
    scheduler.set_timesteps(20)
    context = JobContext(_run(), _Nobody(), _Nobody(), _at_once, preview_interval_s=0.0)
    watch = previewer.watch(scheduler)
    timestep = scheduler.timesteps[0]
    taken, on_device_ms = [], []
    for number in range(rounds + 1):
        scheduler.set_timesteps(20)
        scheduler.step(latents, timestep, latents)
        started_at = time.perf_counter()
        picture = watch.picture(latents, size)
        handed_over_at = time.perf_counter()
        context.preview(1, picture)
        ended_at = time.perf_counter()
        if number:  # the first loads what is loaded when first used
            taken.append(Round((ended_at - started_at) * 1e3, _ALLOWED_MS))
            on_device_ms.append((handed_over_at - started_at) * 1e3)
    told = f"of it on the device's thread {median(on_device_ms):.2f} ms"
    return compare(
        name,
        taken,
        unit="ms",
        against="allowed",
        goal=Goal.AT_MOST if is_goal else None,
        limit=1.0,
        note=f"{told}; {note}" if note else told,
    )


def _of_a_step(ours: LocalEngine, model: str, steps: int, rounds: int) -> Measure:
    """A step with a preview, however the server makes it, beside one without."""
    params = {"prompt": _PROMPT, "model": model, "steps": steps, "seed": 0}

    def step_ms(previews: Previews) -> float:
        at = ours.generate(params, previews=previews)[0].steps_at
        return median(after - before for before, after in pairwise(at)) * 1e3

    taken = [Round(step_ms(Previews.ALL), step_ms(Previews.NONE)) for _ in range(rounds + 1)][1:]
    added_ms = median(each.ours - each.reference for each in taken)
    return compare(
        f"a step of {model}, a preview of each",
        taken,
        unit="ms",
        against="no previews",
        note=f"adds {added_ms:.2f} ms a step",
    )


def _tiny_decoder(folder: Path, channels: int) -> Any:
    """The model's own; for one without a random one as large as the published ones, which costs the same."""
    from diffusers import AutoencoderTiny

    tiny: Any = AutoencoderTiny
    own = folder / "preview_decoder"
    made = tiny.from_pretrained(own) if own.is_dir() else tiny(latent_channels=channels)
    return made.requires_grad_(requires_grad=False).eval()


def _run() -> Run:
    order = Order(is_batch=True, priority=1, turn=1)
    params = TestPatternParams()
    return Run(job_id="job", attempt=1, task=TaskName.TEST_PATTERN, params=params, order=order, previews=Previews.ALL)


def _at_once(work: Callable[[], None]) -> None:
    """In place of the side pool, so that its share is in the time."""
    work()


class _Nobody:
    """Hears everything, keeps nothing."""

    def emit(self, body: EventBody, *, job_id: str | None = None, attempt: int = 1) -> None: ...

    def write(self, job_id: str, index: int, media_type: str, content: bytes) -> StoredOutput:
        raise NotImplementedError
