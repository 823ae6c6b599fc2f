"""Tiny models in the real formats, made once per run."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
import torch

from engine.diffusion.quiet import quieten

quieten()

from tests import tiny_editors, tiny_models  # noqa: E402 - the libraries read their settings when they are imported

FOLDERS: Final[dict[str, Callable[[], object]]] = {
    "sd1": tiny_models.make_sd1,
    "sd1_inpaint": lambda: tiny_models.make_sd1(is_inpaint=True),
    "instruct_pix2pix": tiny_editors.make_pix2pix,
    "paint_by_example": tiny_editors.make_paint_by_example,
    "powerpaint": tiny_editors.make_powerpaint,
    "sd2": tiny_models.make_sd2,
    "sd2_inpaint": lambda: tiny_models.make_sd2(is_inpaint=True),
    "sdxl": tiny_models.make_sdxl,
    "sdxl_inpaint": lambda: tiny_models.make_sdxl(is_inpaint=True),
    "sdxl_refiner": tiny_models.make_sdxl_refiner,
    "flux": tiny_models.make_flux,
    "flux_dev": lambda: tiny_models.make_flux(guidance_embeds=True),
    "pixart": tiny_models.make_pixart,
    "sd3": tiny_models.make_sd3,
    "controlnet": tiny_models.make_controlnet,
}
"""Name of a model -> what makes it; the same weights every time."""

NOT_OURS: Final = ("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning",)
"""What diffusers does that numpy would rather it did not."""

TinyFolder = Callable[[str], Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            for warning in NOT_OURS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(autouse=True)
def _as_on_the_executors_thread() -> Iterator[None]:
    """No gradients. And one thread: tensors this small are waited for longer than they are worked on."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _in_full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine is fastest in: pictures are compared with those of stock pipelines in float32."""
    monkeypatch.setattr("engine.diffusion.studio.best_dtype", lambda *_: torch.float32)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> TinyFolder:
    """A name of `FOLDERS` -> the diffusers folder of that model, written when first asked for. Do not write to it."""
    root = tmp_path_factory.mktemp("tiny-models")

    def folder(name: str) -> Path:
        path = root / name
        if not path.exists():
            FOLDERS[name]().save_pretrained(path)
        return path

    return folder
