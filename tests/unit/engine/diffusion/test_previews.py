"""Pictures of latents between steps."""

import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, FluxPipeline
from torch import Tensor, nn

from engine.diffusion import clean_latents
from engine.diffusion.latent_decoders import PreviewMethod, TimedDecoder, decode, encode
from engine.diffusion.latent_factors import Factors, fit_pictures, grey
from engine.diffusion.previewer import Previewer, enlarged, planes
from engine.diffusion.previews import previewer_for
from engine.diffusion.schedulers import make_scheduler
from engine.diffusion.sizes import Size
from engine.interface import Call, Where
from protocol.sampling import SchedulerName
from tests.unit.engine.diffusion.gaussian import SD1_CONFIG, predict

SQUARE = Size(256, 256)


class LinearVae(nn.Module):
    """Four channels of every 4 x 4 px: three colours mixed, and one of a detail; slightly bent, as trained ones are."""

    def __init__(self, *, delay_s: Callable[[int], float] = lambda places: 0.0) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "block_out_channels": [8, 8, 8],
            "latent_channels": 4,
            "scaling_factor": 0.5,
            "shift_factor": 0.1,
        }
        generator = torch.Generator().manual_seed(3)
        self.mix = nn.Parameter(torch.linalg.qr(torch.randn(4, 4, generator=generator))[0])
        self.encoded = 0
        self.decoded: list[int] = []
        self.threads: set[int] = set()
        self._delay_s = delay_s

    def encode(self, pictures: Tensor) -> Any:
        self.encoded += len(pictures)
        self.threads.add(threading.get_ident())
        averaged = nn.functional.avg_pool2d(pictures, 4)
        detail = nn.functional.avg_pool2d(pictures[:, :1] ** 2, 4) - averaged[:, :1] ** 2
        mixed = torch.einsum("ck,nkhw->nchw", self.mix, torch.cat([averaged, detail], dim=1))
        latents = mixed + 0.05 * mixed**3
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latents))

    def decode(self, latents: Tensor) -> Any:
        places = latents.shape[-1] * latents.shape[-2]
        self.decoded.append(places)
        self.threads.add(threading.get_ident())
        time.sleep(self._delay_s(places))  # stands for a decoder's work, in a test about time it takes
        mixed = latents - 0.05 * latents**3
        rgb = torch.einsum("ck,nchw->nkhw", self.mix, mixed)[:, :3]
        return SimpleNamespace(sample=nn.functional.interpolate(rgb, scale_factor=4.0, mode="bilinear"))


def drive(steps: Generator[Call, Any, Previewer]) -> tuple[Previewer, list[Call]]:
    """Run the calls, and give each its result or its error."""
    calls: list[Call] = []
    value, error = None, None
    while True:
        try:
            call = steps.send(value) if error is None else steps.throw(error)
        except StopIteration as ended:
            return ended.value, calls
        calls.append(call)
        value, error = None, None
        try:
            value = call.run()
        except RuntimeError as raised:
            error = raised


def loaded(vae: Any, side_px: int = 64) -> Any:
    return SimpleNamespace(vae=vae, defaults=SimpleNamespace(width=side_px, height=side_px))


def decibels(one: Tensor, other: Tensor) -> float:
    """Peak signal-to-noise ratio of pictures in [-1, 1]."""
    return float(10 * torch.log10(4 / ((one - other) ** 2).mean()))


# Factors


def test_fitted_factors_show_what_the_decoder_would() -> None:
    vae = LinearVae()
    previewer, _ = drive(previewer_for(loaded(vae)))
    pictures = fit_pictures(4, count=80)[64:]
    for latents in encode(vae, pictures):
        wanted = nn.functional.avg_pool2d(decode(vae, latents), 4)
        assert decibels(previewer.factors.project(latents), wanted) > 15


def test_factors_are_fitted_once_and_then_read(tmp_path: Path) -> None:
    first, again, other = LinearVae(), LinearVae(), LinearVae()
    fitted, calls = drive(previewer_for(loaded(first), tmp_path))
    assert first.encoded == 64
    assert any(call.where is Where.POOL for call in calls)
    kept, _ = drive(previewer_for(loaded(again), tmp_path))
    assert again.encoded == 0
    assert kept.factors == fitted.factors
    other.mix.data = -other.mix.data
    drive(previewer_for(loaded(other), tmp_path))
    assert other.encoded == 64


def test_a_fit_takes_a_bounded_number_of_pictures_a_call() -> None:
    vae = LinearVae()
    steps, most, value = previewer_for(loaded(vae)), 0, None
    while True:
        before = vae.encoded
        try:
            call = steps.send(value)
        except StopIteration:
            break
        value = call.run()
        most = max(most, vae.encoded - before)
    assert 0 < most <= 8


def test_a_vae_that_cannot_be_encoded_with_is_shown_in_grey() -> None:
    class Broken(LinearVae):
        def encode(self, pictures: Tensor) -> Any:
            raise RuntimeError("five dimensions wanted")

    previewer, _ = drive(previewer_for(loaded(Broken())))
    assert previewer.factors == grey(4)
    assert previewer.thumbnail(torch.zeros(7, 4, 4)).shape == (4, 4, 3)  # of any number of channels


def test_a_model_without_a_vae_is_shown_in_grey() -> None:
    previewer, calls = drive(previewer_for(loaded(None)))
    assert previewer.factors == grey(4)
    assert not calls


@pytest.mark.parametrize("folder", ["sd1", "sdxl", "flux", "sd3"])
def test_vaes_of_diffusers_are_fitted_and_decoded_with(folder: str, tiny_folder: Callable[[str], Path]) -> None:
    vae = AutoencoderKL.from_pretrained(tiny_folder(folder), subfolder="vae")
    previewer, _ = drive(previewer_for(loaded(vae)))
    channels = vae.config.latent_channels
    assert previewer.factors.channels == channels
    assert previewer.factors != grey(channels)
    assert previewer.method(64, step_s=1.0) is PreviewMethod.FULL_DECODER
    linear_only = Previewer(previewer.factors)
    scale = 2 ** (len(vae.config.block_out_channels) - 1)
    assert previewer.thumbnail(torch.zeros(channels, 8, 8), step_s=1.0).shape == (8 * scale, 8 * scale, 3)
    assert linear_only.thumbnail(torch.zeros(channels, 8, 8)).shape == (8, 8, 3)


# Method


def test_a_decoder_measured_cheap_is_used() -> None:
    vae = LinearVae()
    previewer, _ = drive(previewer_for(loaded(vae)))
    assert previewer.method(256) is PreviewMethod.FULL_DECODER
    vae.decoded.clear()
    assert previewer.thumbnail(torch.zeros(4, 16, 16)).shape == (64, 64, 3)
    assert vae.decoded == [256]


def test_a_decoder_measured_dear_is_not_and_is_never_timed_at_full_size() -> None:
    vae = LinearVae(delay_s=lambda places: places * 1e-4)
    previewer, _ = drive(previewer_for(loaded(vae, 512), limit_s=0.1))
    assert previewer.method(128 * 128) is PreviewMethod.LINEAR
    assert max(vae.decoded) == 64
    vae.decoded.clear()
    previewer.thumbnail(torch.zeros(4, 128, 128))
    assert not vae.decoded


def test_one_slow_moment_does_not_make_a_decoder_dear() -> None:
    moments = iter([0.3, 0.3, 0.3])
    vae = LinearVae(delay_s=lambda places: next(moments, 0.0) if places == 256 else 0.0)
    previewer, _ = drive(previewer_for(loaded(vae)))
    assert previewer.method(256) is PreviewMethod.FULL_DECODER


def test_a_decoder_is_timed_once_and_again_only_if_the_machine_may_have_been_slow() -> None:
    place_s: dict[PreviewMethod, float] = {}
    quick, moments = LinearVae(), iter([0.02] * 40)
    slow = LinearVae(delay_s=lambda _places: next(moments, 0.0))
    drive(previewer_for(loaded(quick), limit_s=0.01, place_s=place_s))
    decoded = len(quick.decoded)
    drive(previewer_for(loaded(quick), limit_s=0.01, place_s=place_s))
    assert len(quick.decoded) == decoded > 0
    place_s.clear()
    previewer, _ = drive(previewer_for(loaded(slow), limit_s=0.01, place_s=place_s))
    assert previewer.method(256) is PreviewMethod.LINEAR
    list(moments)
    previewer, _ = drive(previewer_for(loaded(slow), limit_s=0.01, place_s=place_s))
    assert previewer.method(256) is PreviewMethod.FULL_DECODER


def test_a_tiny_decoder_is_used_where_the_full_one_is_too_dear() -> None:
    full, tiny = LinearVae(delay_s=lambda places: places * 1e-3), LinearVae()
    previewer, _ = drive(previewer_for(loaded(full), tiny_vae=tiny, limit_s=0.05))
    assert previewer.method(256) is PreviewMethod.TINY_DECODER
    previewer.thumbnail(torch.zeros(4, 16, 16))
    assert tiny.decoded[-1] == 256


def timed_decoders(full_s: float, tiny_s: float) -> Previewer:
    """Of latents with one place."""
    full = TimedDecoder(LinearVae(), PreviewMethod.FULL_DECODER, full_s)
    tiny = TimedDecoder(LinearVae(), PreviewMethod.TINY_DECODER, tiny_s)
    return Previewer(grey(4), (full, tiny), limit_s=0.1)


@pytest.mark.parametrize(
    ("full_s", "tiny_s", "step_s", "method"),
    [
        (0.002, 0.001, 0.0, PreviewMethod.FULL_DECODER),  # cheap, whatever the steps take
        (0.003, 0.001, 0.0, PreviewMethod.TINY_DECODER),
        (0.003, 0.003, 0.0, PreviewMethod.LINEAR),
        (0.014, 0.001, 0.010, PreviewMethod.TINY_DECODER),
        (0.014, 0.001, 0.141, PreviewMethod.FULL_DECODER),  # a tenth of a step
        (1.0, 0.09, 1.0, PreviewMethod.TINY_DECODER),
        (1.0, 0.2, 60.0, PreviewMethod.LINEAR),  # other jobs would wait
    ],
)
def test_the_best_decoder_that_is_cheap_beside_a_step_is_used(
    full_s: float, tiny_s: float, step_s: float, method: PreviewMethod
) -> None:
    assert timed_decoders(full_s, tiny_s).method(1, step_s) is method


def test_the_method_is_chosen_by_the_size_of_the_picture() -> None:
    previewer = timed_decoders(2e-6, 1.0)
    assert previewer.method(1000) is PreviewMethod.FULL_DECODER
    assert previewer.method(1001) is PreviewMethod.LINEAR


def test_a_job_is_shown_by_what_is_cheap_beside_its_own_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(clean_latents.time, "monotonic", lambda: now)
    scheduler = make_scheduler(SD1_CONFIG, SchedulerName.EULER, warn=lambda *_: None)
    full, tiny = LinearVae(), LinearVae()
    decoders = (
        TimedDecoder(full, PreviewMethod.FULL_DECODER, 0.01 / 256),
        TimedDecoder(tiny, PreviewMethod.TINY_DECODER, 0.0),
    )
    watch = Previewer(grey(4), decoders).watch(scheduler)
    network = Network(scheduler)
    shown = []
    for index, took_s in enumerate((0.2, 0.15, 0.05, 0.2)):
        now += took_s
        network.step(index)
        full.decoded.clear()
        watch.picture(network.latents, SQUARE)
        shown.append(bool(full.decoded))
    # The quickest step so far counts: the others may have waited for other jobs.
    assert shown == [True, True, False, False]


def test_decoding_reverses_scale_and_shift() -> None:
    vae = LinearVae()
    shown = decode(vae, torch.full((4, 2, 2), 0.3))
    assert torch.allclose(shown, vae.decode(torch.full((1, 4, 2, 2), 0.3 / 0.5 + 0.1)).sample[0])
    seen = encode(vae, torch.zeros(1, 3, 8, 8))
    assert torch.allclose(seen, torch.full((1, 4, 2, 2), (0.0 - 0.1) * 0.5))


# Pictures


def linear(channels: int = 3) -> Previewer:
    rows = tuple(tuple(1.0 if row == column else 0.0 for column in range(3)) for row in range(channels))
    return Previewer(Factors(rows, (0.0, 0.0, 0.0)))  # type: ignore[arg-type]  # rows of three


def test_thumbnails_are_bytes_from_black_to_white() -> None:
    latents = torch.tensor([-5.0, -1.0, 0.0, 1.0, 5.0]).expand(3, 2, 5)
    made = linear().thumbnail(latents)
    assert made.dtype == np.uint8
    assert made.shape == (2, 5, 3)
    assert made[0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_channels_are_red_green_and_blue() -> None:
    latents = torch.tensor([1.0, -1.0, 0.0]).reshape(3, 1, 1).expand(3, 4, 4)
    assert linear().thumbnail(latents)[0, 0].tolist() == [255, 0, 128]


def test_latents_larger_than_a_preview_are_averaged_down() -> None:
    made = linear().thumbnail(torch.zeros(3, 300, 600), 256)
    assert made.shape == (128, 256, 3)


def test_a_thumbnail_does_not_share_memory_with_the_latents() -> None:
    latents = torch.zeros(3, 4, 4)
    made = linear().thumbnail(latents)
    latents.fill_(1)
    assert (made == 128).all()


@pytest.mark.parametrize(
    ("size", "max_px", "wanted"),
    [
        (Size(512, 512), 256, (256, 256)),
        (Size(512, 768), 256, (171, 256)),
        (Size(1024, 512), 512, (512, 256)),
        (Size(64, 64), 256, (256, 256)),
        (Size(512, 512), 2048, (512, 512)),
        (Size(512, 512), 100, (100, 100)),
        (Size(2000, 10), 256, (256, 1)),
    ],
)
def test_previews_keep_the_proportions_and_the_cap(size: Size, max_px: int, wanted: tuple[int, int]) -> None:
    small = np.zeros((max(1, size.height // 8), max(1, size.width // 8), 3), np.uint8)
    made = enlarged(small, size, max_px)
    assert (made.shape[1], made.shape[0]) == wanted
    assert made.dtype == np.uint8


def test_packed_latents_are_unfolded_as_flux_does() -> None:
    latents = torch.randn(1, 16, 12, 20)
    packed = FluxPipeline._pack_latents(latents, 1, 16, 12, 20)
    assert packed.ndim == 3
    assert torch.equal(planes(packed, Size(160, 96)), latents[0])


def test_of_a_film_the_first_frame_is_shown() -> None:
    film = torch.randn(1, 4, 3, 5, 6)
    assert torch.equal(planes(film, SQUARE), film[0, :, 0])


# A job


class Network:
    """The exact model, at the timesteps of a scheduler."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        scheduler.set_timesteps(6)
        self.latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
        self.latents = self.latents * scheduler.init_noise_sigma

    def step(self, index: int) -> None:
        timestep = self.scheduler.timesteps[index]
        shown = self.scheduler.scale_model_input(self.latents, timestep)
        sigma = float(self.scheduler.sigmas[index])
        self.latents = self.scheduler.step(predict(shown, sigma, "epsilon"), timestep, self.latents, return_dict=False)[
            0
        ]


def test_a_job_shows_its_clean_latents_and_not_the_noisy_ones() -> None:
    scheduler = make_scheduler(SD1_CONFIG, SchedulerName.EULER, warn=lambda *_: None)
    previewer = Previewer(Factors(((0.3, 0.1, 0.0),) * 4, (0.0, 0.0, 0.0)))
    watch = previewer.watch(scheduler)
    network = Network(scheduler)
    network.step(0)
    shown = watch.picture(network.latents, SQUARE)()
    noisy = Previewer(previewer.factors).thumbnail(network.latents[0])
    assert shown.shape == (256, 256, 3)
    # After one of six steps the prediction is still near the mean of the data; the latents are all noise.
    assert 2 * shown[..., 0].std() < noisy[..., 0].std()


def test_before_the_first_step_the_latents_themselves_are_shown() -> None:
    scheduler = make_scheduler(SD1_CONFIG, SchedulerName.EULER, warn=lambda *_: None)
    picture = linear(4).watch(scheduler).picture(torch.ones(2, 4, 8, 8), SQUARE)()
    assert (picture[..., 0] == 255).all()


def test_the_side_pools_share_touches_no_device() -> None:
    """What is handed over holds no tensor, and runs where torch may not be used at all."""
    vae = LinearVae()
    previewer, _ = drive(previewer_for(loaded(vae)))
    scheduler = make_scheduler(SD1_CONFIG, SchedulerName.EULER, warn=lambda *_: None)
    show: Any = previewer.watch(scheduler).picture(torch.randn(1, 4, 16, 16), SQUARE)
    held = [*show.args, *show.keywords.values()]
    assert not any(isinstance(value, Tensor) for value in held)
    vae.threads.clear()
    made: list[np.ndarray[Any, Any]] = []
    thread = threading.Thread(target=lambda: made.append(show()))
    thread.start()
    thread.join(10)
    assert made[0].shape == (256, 256, 3)
    assert not vae.threads
