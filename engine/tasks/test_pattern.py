"""Draw a print that develops: for trying a client, an installation or a load without any model."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine import images
from engine.images import Bytes, Picture
from engine.interface import Call, CallGroup, EncodedImage, Run, RunContext, Steps
from protocol.editing import TestPatternParams

_BAND_ROWS: Final = 256
"""Rows drawn at a time, so that a large pattern needs little beside itself."""
_PAPER: Final = np.array((0.97, 0.96, 0.93), np.float32)
_BORDER: Final = 0.04
_WEDGE: Final = 0.08
"""Shares of the shorter side: the white rim of the print, and the height of the grey steps at its lower edge."""
_GREYS: Final = 11
_UNEVENNESS: Final = 0.6
"""Share of the time by which the slowest part of the paper develops after the fastest."""
_SEEDS: Final = 2**32


@dataclass(frozen=True, slots=True)
class Hold:
    """What a step is: holding the device.

    Attributes:
        seconds: how long.
        failure: raised afterwards, if not empty.
    """

    seconds: float
    failure: str = ""


@dataclass(frozen=True, slots=True)
class HoldTogether:
    """Steps of any test patterns that are run as one, in the time of the longest. A `CallGroup`."""

    limit: int

    def run(self, payloads: Sequence[object]) -> Sequence[object]:
        holds = [payload for payload in payloads if isinstance(payload, Hold)]
        hold(Hold(max(each.seconds for each in holds), next((each.failure for each in holds if each.failure), "")))
        return [None] * len(payloads)


def draw_test_pattern(run: Run, context: RunContext, *, group: CallGroup | None = None, step_s: float = 0.0) -> Steps:
    """Draw `images` prints from `seed`, `seed + 1`, ...; each step holds the device and shows the print so far.

    Args:
        group: makes steps of several jobs run as one.
        step_s: the least time a step holds the device, if `step_ms` is less.

    Raises:
        RuntimeError: in step `fail_at_step` of the first image that is drawn, as asked for.
    """
    params = run.params
    assert isinstance(params, TestPatternParams)
    seconds = max(params.step_ms / 1000, step_s)
    for image in range(run.first_image, params.images):
        seed = (params.seed + image) % _SEEDS
        with context.image(image):
            for step in range(1, params.steps + 1):
                failure = f"step {step} was asked to fail by fail_at_step" if step == params.fail_at_step else ""
                payload = Hold(seconds, failure)
                yield Call(partial(hold, payload), group=group, payload=payload)
                done = step / params.steps
                context.step(step, params.steps, image=image, progress=(image + done) / params.images)
                if context.wants_previews:
                    small = _preview_size(params.width, params.height)
                    context.preview(step, partial(draw, small[0], small[1], seed, done), image=image)
            yield from context.output(image, partial(_finished, params, seed), seed=seed)


def hold(payload: Hold) -> None:
    """Keep the calling thread busy doing nothing.

    Raises:
        RuntimeError: `payload.failure`.
    """
    if payload.seconds > 0:
        time.sleep(payload.seconds)
    if payload.failure:
        raise RuntimeError(payload.failure)


def draw(width: int, height: int, seed: int, developed: float = 1.0) -> Bytes:
    """A soft abstract print on white paper, with a wedge of grey steps that come up one by one.

    Args:
        seed: decides shapes and colours.
        developed: how far the print is, 0 (white paper) to 1.

    Returns:
        (height, width, 3) uint8; equal arguments give equal pixels on every machine of one kind.
    """
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _BAND_ROWS):
        bottom = min(height, top + _BAND_ROWS)
        pixels[top:bottom] = images.to_uint8(_band(width, height, top, bottom, seed, developed))
    return pixels


def _band(width: int, height: int, top: int, bottom: int, seed: int, developed: float) -> NDArray[np.float32]:
    lots = np.random.default_rng(seed)
    side = min(width, height)
    x = ((np.arange(width, dtype=np.float32) + 0.5) / side)[None, :]
    y = ((np.arange(top, bottom, dtype=np.float32) + 0.5) / side)[:, None]
    waves = lots.uniform(-6, 6, (4, 2)).astype(np.float32)
    phases = lots.uniform(0, 2 * np.pi, 8).astype(np.float32)
    tints = np.sort(lots.uniform(0, 1, 3)).astype(np.float32) * np.float32(2.2)
    bend = np.sin(waves[0, 0] * x + waves[0, 1] * y + phases[0])
    plasma = np.sin(waves[1, 0] * x + waves[1, 1] * y + 1.7 * bend + phases[1])
    plasma = plasma + np.sin(waves[2, 0] * x + waves[2, 1] * y - 1.3 * bend + phases[2])
    tone = (plasma + 2) / 4
    colours = 0.5 + 0.42 * np.cos(2 * np.pi * (0.8 * tone[..., None] + tints) + phases[3])
    delay = 0.5 + 0.5 * np.sin(waves[3, 0] * x + waves[3, 1] * y + bend + phases[4])
    amount = np.clip(developed * (1 + _UNEVENNESS) - _UNEVENNESS * delay, 0, 1)
    amount = amount * amount * (3 - 2 * amount)
    right, end = width / side, height / side
    greys = np.minimum(np.floor(x / right * _GREYS), _GREYS - 1) / (_GREYS - 1)
    is_wedge = np.broadcast_to(y > end - _BORDER - _WEDGE, tone.shape)
    colours = np.where(is_wedge[..., None], (1 - greys)[..., None], colours)
    amount = np.where(is_wedge, (greys <= developed).astype(np.float32), amount)
    is_rim = (x < _BORDER) | (x > right - _BORDER) | (y < _BORDER) | (y > end - _BORDER)
    amount = np.where(is_rim, 0, amount)[..., None]
    return np.asarray(_PAPER * (1 - amount) + colours * amount, np.float32)


def _finished(params: TestPatternParams, seed: int) -> EncodedImage:
    picture = Picture(images.from_uint8(draw(params.width, params.height, seed)))
    return images.encode_for(picture, params)


def _preview_size(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, images.PREVIEW_SIDE_PX / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
