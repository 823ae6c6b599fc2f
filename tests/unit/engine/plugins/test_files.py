"""Where the files of published models are looked for, how one is brought, and what lists say of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.interface import EngineError, Where
from engine.interface.downloads import DownloadFailed, WantedFile
from engine.library.roots import make_library
from engine.models.catalogue import CATALOGUE
from engine.plugins.files import PluginFiles
from engine.plugins.published import PLUGIN_MODELS
from engine.steps import run_through
from protocol.errors import ErrorCode
from protocol.models import ModelKind
from protocol.requests import TASKS


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


@dataclass
class Downloads:
    """A downloader whose downloads are there at the second look, or fail."""

    problem: str | None = None
    begun: list[tuple[str, Sequence[WantedFile]]] = field(default_factory=list)
    looks: int = 0

    def begin(self, model: str, files: Sequence[WantedFile]) -> "Downloads":
        self.begun.append((model, files))
        return self

    def wait(self, timeout_s: float) -> bool:
        self.looks += 1
        if self.problem is not None:
            raise DownloadFailed(self.problem)
        if self.looks == 2:
            put(self.begun[-1][1][0].target)
        return self.looks == 2


@pytest.mark.parametrize("folder", ["", "plugins", "upscalers", "torch/hub/checkpoints", "models/ESRGAN"])
def test_a_file_is_found_in_each_of_the_folders(folder: str, tmp_path: Path) -> None:
    path = put(tmp_path / folder / "silueta.onnx")
    assert PluginFiles(models_dir=tmp_path).find("silueta") == path
    assert PluginFiles(models_dir=tmp_path / "other", folders=(tmp_path,)).find("silueta") == path
    assert PluginFiles(models_dir=tmp_path).find("isnetis") is None


@pytest.mark.parametrize("hub", ["", "huggingface/hub"])
def test_a_model_of_the_hub_is_found_in_its_cache(hub: str, tmp_path: Path) -> None:
    path = put(tmp_path / hub / "models--briaai--RMBG-2.0" / "snapshots" / "abc" / "onnx" / "model.onnx")
    assert PluginFiles(models_dir=tmp_path).find("rmbg-2.0") == path


def test_the_best_of_several_files_is_taken(tmp_path: Path) -> None:
    put(tmp_path / "RMBG-1.4.onnx")
    best = put(tmp_path / "plugins" / "RMBG-1.4" / "model.pth")
    assert PluginFiles(models_dir=tmp_path).find("rmbg-1.4") == best


def test_a_missing_model_says_what_to_put_where_and_names_no_path_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as refused:
        run_through(PluginFiles(models_dir=tmp_path).bring("GFPGANv1.4"))
    assert refused.value.code is ErrorCode.MODEL_MISSING
    assert "put GFPGANv1.4.pth from https://" in refused.value.message
    assert str(tmp_path) not in refused.value.message


def test_what_is_missing_is_downloaded_if_somebody_does_that_and_its_checksum_is_known(tmp_path: Path) -> None:
    downloads = Downloads()
    files = PluginFiles(models_dir=tmp_path, downloader=downloads)
    target = tmp_path / "plugins" / "GFPGANv1.4.pth"
    assert run_through(files.bring("GFPGANv1.4")) == target
    ((model, (wanted,)),) = downloads.begun
    published = PLUGIN_MODELS["GFPGANv1.4"]
    assert (model, wanted.url, wanted.md5, wanted.target) == (model, published.url, published.md5, target)
    assert run_through(files.bring("GFPGANv1.4")) == target
    assert len(downloads.begun) == 1


def test_a_job_waits_for_a_download_outside_of_the_side_pool(tmp_path: Path) -> None:
    call = next(PluginFiles(models_dir=tmp_path, downloader=Downloads()).bring("isnetis"))
    assert (call.where, call.stage) == (Where.OUTSIDE, "download")


def test_a_download_that_fails_says_why_and_what_else_can_be_done(tmp_path: Path) -> None:
    files = PluginFiles(models_dir=tmp_path, downloader=Downloads("no network"))
    with pytest.raises(EngineError, match=r"could not be downloaded \(no network\): put isnetis.pth") as refused:
        run_through(files.bring("isnetis"))
    assert refused.value.code is ErrorCode.MODEL_MISSING


def test_what_has_no_checksum_is_not_downloaded(tmp_path: Path) -> None:
    downloads = Downloads()
    with pytest.raises(EngineError):
        run_through(PluginFiles(models_dir=tmp_path, allows_noncommercial=True, downloader=downloads).bring("rmbg-1.4"))
    assert downloads.begun == []


def test_lists_say_which_are_there_and_which_may_not_be_used(tmp_path: Path) -> None:
    put(tmp_path / "isnetis.pth")
    infos = {info.name: info for info in PluginFiles(models_dir=tmp_path).listed()}
    assert set(infos) == set(PLUGIN_MODELS)
    assert [name for name, info in infos.items() if info.is_present] == ["isnetis"]
    assert infos["isnetis"].size_bytes == 1
    assert [name for name, info in infos.items() if info.problem] == [
        *("rmbg-1.4", "rmbg-2.0", "body_pose_model"),
    ]
    assert infos["rmbg-2.0"].tasks == ()
    allowed = PluginFiles(models_dir=tmp_path, allows_noncommercial=True).listed()
    assert all(info.problem is None and info.tasks for info in allowed)


def test_names_are_not_those_of_packaged_models_and_tasks_are_tasks() -> None:
    assert not set(PLUGIN_MODELS) & set(CATALOGUE)
    for model in PLUGIN_MODELS.values():
        assert set(model.tasks) <= set(TASKS)
        assert model.md5 == "" or len(model.md5) == 32


def test_upscalers_are_of_their_kind_and_the_library_lists_none_of_these_files_again(tmp_path: Path) -> None:
    upscaler = next(info for info in PluginFiles(models_dir=tmp_path).listed() if info.name == "RealESRGAN_x4plus")
    assert (upscaler.kind, upscaler.id) == (ModelKind.UPSCALER, "upscaler:RealESRGAN_x4plus")
    for folder in ("own", "other"):
        for name in ("RealESRGAN_x4plus.pth", "GFPGANv1.4.pth", "isnetis.pth"):
            put(tmp_path / folder / name)
    library = make_library(tmp_path / "own", [tmp_path / "other"])
    library.refresh()
    assert {model.source for model in library.models} <= {"embedded"}
