"""Models that are at home and come to a device for their calls: what is there when, and that pictures are the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from engine.device import Device
from engine.diffusion.families import PipelineKind
from engine.diffusion.guests import Guests
from engine.diffusion.movable import DeviceMover, Movable
from engine.diffusion.offload import Offloading, Placement, decide
from engine.diffusion.streams import Stream
from engine.diffusion.studio import ReadyModel
from engine.interface.engine import Offload
from engine.library.records import Family
from engine.models.residency import Residency
from engine.models.resident import Key
from protocol.events import ModelLoaded
from protocol.requests import TaskName
from tests import tiny_adapters
from tests.tiny_models import make_controlnet, make_image_encoder, make_vae
from tests.unit.engine.diffusion.conftest import FOLDERS, TinyFolder
from tests.unit.engine.diffusion.found import found_at, load_model
from tests.unit.engine.diffusion.pretended import PretendedMover, held_to, offloading_studio
from tests.unit.engine.diffusion.studios import draw, draw_at_once, make, studio_of
from tests.unit.engine.pictures import save

ALONE = {"deterministic": True, "guidance_scale": 3.0}
PHOTO = np.random.default_rng(4).integers(0, 256, (64, 64, 3), np.uint8)
AMPLE = 1 << 30
MODES = [Offload.MODEL, Offload.LAYERS]
PIECE = 20_000


@pytest.fixture(scope="module")
def extras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA, a ControlNet, a VAE and an IP-Adapter with its image encoder, for the tiny SD 1."""
    folder = tmp_path_factory.mktemp("extras")
    pipeline: Any = FOLDERS["sd1"]()
    for kind in ("loras", "controlnet", "vae", "ip_adapter"):
        (folder / kind).mkdir()
    save_file(tiny_adapters.kohya_lora(pipeline), folder / "loras" / "ink.safetensors")
    make_controlnet(seed=7).save_pretrained(folder / "controlnet" / "depth")
    make_vae().save_pretrained(folder / "vae" / "soft")
    save_file(tiny_adapters.ip_adapter(pipeline.unet, seed=4), folder / "ip_adapter" / "style.safetensors")
    make_image_encoder().save_pretrained(folder / "ip_adapter" / "image_encoder")
    return folder


def ready(residency: Residency, name: str = "sd1") -> ReadyModel:
    found = residency._residents[Key(f"checkpoint:{name}")].network
    assert isinstance(found, ReadyModel)
    return found


def networks(residency: Residency) -> list[nn.Module]:
    """All that are in memory, whatever they belong to."""
    found: list[nn.Module] = []
    for resident in residency._residents.values():
        network: Any = resident.network
        parts = network.loaded.components if isinstance(network, ReadyModel) else vars_of(network)
        found += [part for part in parts.values() if isinstance(part, nn.Module)]
    return found


def vars_of(network: Any) -> dict[str, Any]:
    return {name: getattr(network, name, None) for name in ("vae", "net", "encoder")}


def sizes(residency: Residency, name: str = "sd1") -> dict[str, int]:
    return {
        part: sum(tensor.numel() * tensor.element_size() for tensor in (*module.parameters(), *module.buffers()))
        for part, module in ready(residency, name).loaded.modules()
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["sd1", "sdxl", "flux", "sd3"])
def test_an_offloaded_model_draws_the_same_picture_with_weights_that_are_there(
    tiny_folder: TinyFolder, mode: Offload, name: str
) -> None:
    folder = tiny_folder(name).parent
    # No larger than a tile of the VAE.
    job = {**ALONE, "model": name, "width": 64, "height": 64}
    wanted = draw(studio_of(folder), job)
    # Nothing fits beside anything else.
    studio, mover, residency = offloading_studio(folder, asked=mode, budget_bytes=1, piece_bytes=PIECE)
    draw(studio, job)
    with held_to(mover, *networks(residency)) as worked:
        assert np.array_equal(draw(studio, {**job, "seed": 5}), wanted)
    assert {"Conv2d", "Linear"} <= set(worked)


@pytest.mark.parametrize("mode", MODES)
def test_what_goes_with_an_offloaded_model_is_offloaded_too(
    tiny_folder: TinyFolder, extras: Path, tmp_path: Path, mode: Offload
) -> None:
    inputs = {"controls[0].image": save(tmp_path / "a.png", PHOTO), "image_prompts[0].image": tmp_path / "a.png"}
    job = {
        **ALONE,
        "vae": "soft",
        "controls": [{"model": "depth", "image": "upload:a"}],
        "image_prompts": [{"model": "style", "image": "upload:a"}],
        "loras": [{"name": "ink", "weight": 0.8}],
    }
    folders = (tiny_folder("sd1").parent, extras)
    wanted = draw(studio_of(*folders), job, inputs=inputs)
    studio, mover, residency = offloading_studio(*folders, asked=mode, budget_bytes=1, piece_bytes=PIECE)
    draw(studio, job, inputs=inputs)
    with held_to(mover, *networks(residency)):
        assert np.array_equal(draw(studio, job, inputs=inputs), wanted)
    # And what was laid over it for that job is not there for the next.
    assert np.array_equal(draw(studio, ALONE), draw(studio_of(folders[0]), ALONE))


@pytest.mark.parametrize("mode", MODES)
def test_other_tasks_and_clip_skip_work_on_an_offloaded_model(
    tiny_folder: TinyFolder, tmp_path: Path, mode: Offload
) -> None:
    folder, inputs = tiny_folder("sd1").parent, {"image": save(tmp_path / "a.png", PHOTO)}
    job = {**ALONE, "image": "upload:a", "clip_skip": 1, "strength": 0.7}
    wanted = draw(studio_of(folder), job, task=TaskName.IMAGE_TO_IMAGE, inputs=inputs)
    studio, mover, residency = offloading_studio(folder, asked=mode, budget_bytes=1, piece_bytes=PIECE)
    draw(studio, ALONE)
    with held_to(mover, *(module for name, module in ready(residency).loaded.modules() if name != "text_encoder")):
        made = draw(studio, job, task=TaskName.IMAGE_TO_IMAGE, inputs=inputs)
    assert np.array_equal(made, wanted)


def test_jobs_at_once_on_an_offloaded_model_draw_what_they_draw_alone(tiny_folder: TinyFolder) -> None:
    folder = tiny_folder("sdxl").parent
    jobs = [{**ALONE, "seed": seed, "model": name} for seed, name in ((1, "sd1"), (2, "sdxl"), (3, "sd1"))]
    wanted = [draw(studio_of(folder), job) for job in jobs]
    tiny_folder("sd1")
    studio, _, _ = offloading_studio(folder, asked=Offload.MODEL, budget_bytes=1)
    for made, expected in zip(draw_at_once(studio, *jobs), wanted, strict=True):
        assert np.array_equal(made, expected)


def test_one_component_is_there_at_a_time_where_no_two_fit(tiny_folder: TinyFolder) -> None:
    studio, mover, residency = offloading_studio(tiny_folder("sd1").parent, asked=Offload.MODEL, budget_bytes=1)
    draw(studio, ALONE)
    largest = max(sizes(residency).values())
    assert 0 < mover.peak_bytes <= largest
    mover.came.clear()
    draw(studio, {**ALONE, "prompt": "a dog"})
    parts = sizes(residency)
    decoder = sum(weight.numel() * 4 for weight in ready(residency).loaded.vae.decoder.parameters())
    # Each came once, however many steps there were, and the encoder of the VAE not at all.
    assert sum(mover.came) == parts["text_encoder"] + parts["unet"] + decoder


def test_components_stay_as_long_as_the_budget_has_room_for_them(tiny_folder: TinyFolder) -> None:
    studio, mover, residency = offloading_studio(tiny_folder("sd1").parent, asked=Offload.MODEL, budget_bytes=AMPLE)
    draw(studio, ALONE)
    mover.came.clear()
    draw(studio, {**ALONE, "prompt": "a dog"})
    assert mover.came == []
    assert AMPLE - residency.room_bytes == pytest.approx(sum(sizes(residency).values()), rel=0.01)


def test_what_is_there_never_goes_over_a_budget_for_the_largest_component(tiny_folder: TinyFolder) -> None:
    studio, mover, residency = offloading_studio(tiny_folder("sd1").parent, asked=Offload.MODEL, budget_bytes=1)
    draw(studio, ALONE)
    residency.budget_bytes = max(sizes(residency).values()) + ready(residency).size_bytes
    studio.offloading.guests.send_all_home()
    mover.peak_bytes = 0
    draw(studio, {**ALONE, "prompt": "a dog", "images": 2})
    assert mover.peak_bytes <= residency.budget_bytes


def test_a_denoiser_in_pieces_is_never_there_as_a_whole(tiny_folder: TinyFolder) -> None:
    studio, mover, residency = offloading_studio(
        tiny_folder("sd1").parent, asked=Offload.LAYERS, budget_bytes=1, piece_bytes=PIECE
    )
    draw(studio, {**ALONE, "width": 32, "height": 32})
    assert mover.peak_bytes < sizes(residency)["unet"] / 2


def test_pieces_stay_where_there_is_room_for_them(tiny_folder: TinyFolder) -> None:
    studio, mover, _ = offloading_studio(
        tiny_folder("sd1").parent, asked=Offload.LAYERS, budget_bytes=AMPLE, piece_bytes=PIECE
    )
    draw(studio, ALONE)
    mover.came.clear()
    draw(studio, {**ALONE, "prompt": "a dog"})
    assert mover.came == []


@pytest.mark.parametrize(
    ("asked", "parts", "mode"),
    [
        (Offload.AUTO, (10, 60, 30), Offload.NEVER),
        (Offload.AUTO, (10, 61, 30), Offload.MODEL),
        (Offload.AUTO, (10, 101, 30), Offload.LAYERS),
        (Offload.NEVER, (10, 101, 30), Offload.NEVER),
        (Offload.MODEL, (1, 1, 1), Offload.MODEL),
        (Offload.LAYERS, (1, 1, 1), Offload.LAYERS),
    ],
)
def test_what_is_not_asked_for_is_decided_by_what_fits(asked: Offload, parts: tuple[int, ...], mode: Offload) -> None:
    assert decide(asked, parts, budget_bytes=100) is mode


def test_a_model_that_may_not_fit_is_loaded_to_the_machines_memory_first() -> None:
    gpu, residency = torch.device("cuda:0"), Residency(Path(), "cuda:0")

    def landing(asked: Offload, file_bytes: int) -> str:
        return Offloading(gpu, residency, 100, asked).landing(file_bytes).type

    assert landing(Offload.AUTO, 50) == "cuda"
    assert landing(Offload.AUTO, 51) == "cpu"
    assert landing(Offload.NEVER, 5000) == "cuda"
    assert landing(Offload.MODEL, 1) == "cpu"


def test_a_model_that_does_fit_is_moved_to_the_device_for_good(tiny_folder: TinyFolder) -> None:
    told: list[Any] = []
    folder = tiny_folder("sd1")
    size = load_model(found_at(folder, Family.SD1), "cpu", torch.float32).size_bytes
    studio, mover, residency = offloading_studio(
        folder.parent, asked=Offload.AUTO, budget_bytes=int(size * 1.1), tell=told.append
    )
    draw(studio, ALONE)
    assert ready(residency).placement.mode is Offload.NEVER
    assert sum(mover.came) == pytest.approx(size, rel=0.01)
    assert all(mover.is_there(weight) for weight in ready(residency).loaded.denoiser.parameters())
    (loaded,) = [body for body in told if isinstance(body, ModelLoaded)]
    assert loaded.size_bytes == pytest.approx(size, rel=0.01)


def test_an_offloaded_model_counts_with_what_of_it_is_there(tiny_folder: TinyFolder) -> None:
    told: list[Any] = []
    studio, mover, residency = offloading_studio(
        tiny_folder("sd1").parent, asked=Offload.MODEL, budget_bytes=AMPLE, tell=told.append
    )
    draw(studio, ALONE)
    (loaded,) = [body for body in told if isinstance(body, ModelLoaded)]
    assert loaded.size_bytes is not None
    assert loaded.size_bytes < 1000  # what of the VAE is in neither of its halves
    assert AMPLE - residency.room_bytes == loaded.size_bytes + studio.offloading.guests.present_bytes
    studio.offloading.guests.send_all_home()
    assert AMPLE - residency.room_bytes == loaded.size_bytes
    assert mover.left == []  # what came is dropped there, and never copied back


def test_offloaded_models_leave_the_machines_memory_when_others_need_the_room(tiny_folder: TinyFolder) -> None:
    tiny_folder("sdxl")
    studio, _, residency = offloading_studio(
        tiny_folder("sd1").parent, asked=Offload.MODEL, budget_bytes=AMPLE, home_budget_bytes=1
    )
    draw(studio, ALONE)
    draw(studio, {**ALONE, "model": "sdxl"})
    assert residency.names == ("checkpoint:sdxl",)


def test_a_job_that_runs_out_of_memory_goes_on_with_its_model_offloaded(tiny_folder: TinyFolder) -> None:
    folder = tiny_folder("sd1").parent
    wanted = draw(studio_of(folder), {"seed": 3, "deterministic": True})
    studio, mover, residency = offloading_studio(folder, asked=Offload.AUTO, budget_bytes=AMPLE)
    draw(studio, ALONE)
    model = ready(residency)
    spoil(model.loaded.denoiser, lambda: model.placement.mode is Offload.NEVER)
    (made,) = draw_at_once(studio, {"seed": 3, "deterministic": True})
    # Row by row it was tried before, and is from then on for that one call.
    assert np.abs(made.astype(int) - wanted).max() <= 1
    assert model.placement.mode is Offload.MODEL
    assert mover.left != []
    assert np.array_equal(draw(studio, {"seed": 3, "deterministic": True}), wanted)


def test_a_job_that_runs_out_of_memory_whatever_is_done_fails(tiny_folder: TinyFolder) -> None:
    studio, _, residency = offloading_studio(tiny_folder("sd1").parent, asked=Offload.AUTO, budget_bytes=AMPLE)
    draw(studio, ALONE)
    model = ready(residency)
    spoil(model.loaded.denoiser, lambda: True)
    with pytest.raises(AssertionError, match="out_of_memory"):
        draw_at_once(studio, {"seed": 3})
    assert model.placement.mode is Offload.LAYERS


def spoil(denoiser: nn.Module, is_full: Any) -> None:
    """Have a layer of it run out of memory while that is true."""
    layer: Any = denoiser.conv_in
    inner = layer.forward

    def forward(*given: Any) -> Any:
        if is_full():
            raise MemoryError("the pretended device is full")
        return inner(*given)

    layer.forward = forward


def test_memory_is_freed_of_all_that_is_there_for_a_call(tiny_folder: TinyFolder) -> None:
    studio, _, _ = offloading_studio(tiny_folder("sd1").parent, asked=Offload.MODEL, budget_bytes=AMPLE)
    draw(studio, ALONE)
    guests = studio.offloading.guests
    assert guests.here
    guests.send_all_home()
    assert guests.present_bytes == 0
    assert guests.here == ()


def test_a_part_that_has_no_room_on_its_way_goes_home_again() -> None:
    mover, module = PretendedMover(), nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    guests = Guests(Residency(Path(), "cpu"))
    mover.guests, mover.room = guests, 100
    part = Movable(module, mover)
    homes = [weight.data_ptr() for weight in module.parameters()]
    with pytest.raises(MemoryError), guests.at_work(part):
        pass
    assert part.present_bytes > 0
    guests.send_all_home()
    assert [weight.data_ptr() for weight in module.parameters()] == homes


def test_a_failed_forward_of_a_piece_leaves_it_free_to_go() -> None:
    class Chain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 5)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for block in self.blocks:
                x = block(x)
            return x

    residency, mover, chain = Residency(Path(), "cpu", budget_bytes=1), PretendedMover(), Chain()
    guests = residency.visitors = Guests(residency)
    stream = Stream(chain, mover, guests, piece_bytes=1)
    with pytest.raises(RuntimeError):
        chain(torch.zeros(1, 3))
    assert guests.here == ()
    assert len(stream.pieces) == 2


def test_pipelines_over_an_offloaded_model_work_on_the_device(tiny_folder: TinyFolder) -> None:
    model = load_model(found_at(tiny_folder("sd1"), Family.SD1), "cpu", torch.float32)
    gpu = torch.device("cuda:0")
    guests = Guests(Residency(Path(), "cuda:0"))
    modules = dict(model.modules())
    model.placement = Placement(modules, DeviceMover(gpu), guests, Offload.MODEL)
    pipeline = model.pipeline(PipelineKind.TEXT_TO_IMAGE, model.components["scheduler"])
    assert pipeline._execution_device == gpu
    assert model.home == torch.device("cpu")


def test_on_a_cpu_nothing_is_moved(tiny_folder: TinyFolder) -> None:
    residency = Residency(Path(), "cpu", budget_bytes=1)
    studio = studio_of(tiny_folder("sd1").parent, residency=residency)
    studio.offloading = Offloading(Device(torch.device("cpu")).torch_device, residency, 1, Offload.LAYERS)
    draw(studio, ALONE)
    assert ready(residency).placement.mode is Offload.NEVER
    assert not ready(residency).placement.can_step_down


def test_an_offloaded_model_shows_its_previews(tiny_folder: TinyFolder) -> None:
    folder = tiny_folder("sd1").parent
    wanted = make(studio_of(folder), ALONE).pictures
    studio, _, _ = offloading_studio(folder, asked=Offload.MODEL, budget_bytes=1)
    assert len(make(studio, ALONE).pictures) == len(wanted) == 3
