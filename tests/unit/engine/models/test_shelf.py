"""The shelf, over real folders of the smallest model files."""

import hashlib
from pathlib import Path

import pytest

from engine.library.layouts import Layout, Root
from engine.library.library import Library, own_root
from engine.models.shelf import Shelf, packaged
from protocol.models import ModelInfo, ModelKind
from protocol.requests import TaskName
from tests.unit.engine.library.model_files import (
    EMBEDDING,
    LORA_SD1,
    SD1,
    SD1_INPAINT,
    SDXL_REFINER,
    UPSCALER,
    VAE_FILE,
    first,
    write,
    write_pipeline,
)

GENERATING = (
    TaskName.TEXT_TO_IMAGE,
    TaskName.IMAGE_TO_IMAGE,
    TaskName.INPAINT,
    TaskName.OUTPAINT,
    TaskName.ENHANCE,
)


def shelf(folder: Path, **more: object) -> Shelf:
    return Shelf(Library((own_root(folder),)), folder, **more)  # type: ignore[arg-type] # as the test says


def listed(made: Shelf, *resident: str) -> dict[str | None, ModelInfo]:
    return {info.id: info for info in made.models(resident)}


def test_a_checkpoint_is_for_what_its_family_can_do(tmp_path: Path) -> None:
    for name, shapes in (("plain", SD1), ("painter", SD1_INPAINT), ("refiner", SDXL_REFINER)):
        write(tmp_path / f"{name}.safetensors", shapes)
    write(tmp_path / "editor.safetensors", {**SD1, **first(8)})
    found = listed(shelf(tmp_path))
    assert found["checkpoint:plain"].tasks == GENERATING
    assert found["checkpoint:editor"].tasks == (TaskName.IMAGE_TO_IMAGE, TaskName.INPAINT, TaskName.ENHANCE)
    assert found["checkpoint:painter"].tasks == (TaskName.INPAINT, TaskName.OUTPAINT, TaskName.ENHANCE)
    assert found["checkpoint:refiner"].tasks == GENERATING[1:]
    assert {info.family for info in found.values()} == {"sd1", "sd1_inpaint", "sdxl_refiner", "instruct_pix2pix"}


def test_a_model_tells_the_path_of_its_file_and_a_folder_has_none(tmp_path: Path) -> None:
    (tmp_path / "loras" / "drawn").mkdir(parents=True)
    write(tmp_path / "loras" / "drawn" / "ink.safetensors", LORA_SD1)
    write_pipeline(tmp_path / "checkpoints" / "pipeline", "StableDiffusionPipeline")
    found = listed(shelf(tmp_path))
    assert found["lora:ink"].file == "loras/drawn/ink.safetensors"
    assert found["checkpoint:pipeline"].file is None


def test_other_kinds_are_listed_too_and_what_cannot_be_used_says_why(tmp_path: Path) -> None:
    write(tmp_path / "ink.safetensors", LORA_SD1)
    write(tmp_path / "style.safetensors", EMBEDDING)
    write(tmp_path / "masks.safetensors", {"brushnet_down_blocks.0.weight": (320, 320, 1, 1)})
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    found = listed(shelf(tmp_path))
    assert found["lora:ink"].kind is ModelKind.LORA
    assert found["embedding:style"].tasks == GENERATING
    assert found["brushnet:masks"].tasks == (TaskName.INPAINT, TaskName.OUTPAINT)
    broken = found["checkpoint:broken"]
    assert broken.problem
    assert (broken.tasks, broken.defaults, broken.is_default) == ((), None, False)


def test_what_is_in_memory_is_marked_and_so_is_the_default(tmp_path: Path) -> None:
    for name in ("alpha", "beta"):
        write(tmp_path / f"{name}.safetensors", SD1)
    write(tmp_path / "alpha-ink.safetensors", LORA_SD1)
    found = listed(shelf(tmp_path), "checkpoint:beta", "u2netp")
    assert [model_id for model_id, info in found.items() if info.is_loaded] == ["checkpoint:beta"]
    assert [model_id for model_id, info in found.items() if info.is_default] == ["checkpoint:alpha"]
    chosen = listed(shelf(tmp_path, default_model="beta.safetensors"))
    assert [model_id for model_id, info in chosen.items() if info.is_default] == ["checkpoint:beta"]
    assert not any(info.is_default for info in shelf(tmp_path, default_model="gone").models(()))


def test_a_default_of_another_source_is_the_only_one(tmp_path: Path) -> None:
    write(tmp_path / "alpha.safetensors", SD1)
    other = ModelInfo(
        id="checkpoint:fake",
        name="fake",
        title="",
        tasks=(),
        licence="",
        size_bytes=0,
        is_present=True,
        is_default=True,
    )
    made = shelf(tmp_path, others=lambda: [other])
    assert [info.id for info in made.models(()) if info.is_default] == ["checkpoint:fake"]


def test_defaults_are_those_of_the_folder_and_the_licence_that_of_the_embedded_model(tmp_path: Path) -> None:
    folder = write_pipeline(
        tmp_path / "own" / "spark", unet={"in_channels": 4, "cross_attention_dim": 768, "sample_size": 8}
    )
    (folder / "safelight.json").write_text('{"steps": 20, "show_px": 256}')
    library = Library((Root(path=folder, layout=Layout.FOLDER, source="embedded"),))
    (info,) = Shelf(library, tmp_path).models(())
    assert info.licence == "Apache-2.0"
    assert info.defaults is not None
    assert (info.defaults.width, info.defaults.height, info.defaults.steps) == (256, 256, 20)


def test_a_hash_is_told_by_a_listing_once_it_has_been_computed(tmp_path: Path) -> None:
    path = write(tmp_path / "ink.safetensors", LORA_SD1)
    made = shelf(tmp_path)
    assert listed(made)["lora:ink"].sha256 is None
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert made.sha256("lora:ink") == expected
    assert listed(made)["lora:ink"].sha256 == expected
    assert made.sha256("lora:other") is None


@pytest.mark.parametrize("kind", [kind for kind in ModelKind if kind is not ModelKind.ERASER])
def test_every_kind_has_a_folder_whose_name_tells_the_library_the_kind(tmp_path: Path, kind: ModelKind) -> None:
    made = shelf(tmp_path)
    place = made.place(kind, "a.pt")
    assert place is not None
    place.parent.mkdir()
    place.write_bytes(b"\x80\x02}q\x00.")  # a pickle that does not tell what it is for
    assert [info.kind for info in made.models(())] == [kind]
    assert made.place(ModelKind.ERASER, "a.pt") is None


@pytest.mark.parametrize(
    ("kind", "shapes"), [(ModelKind.VAE, VAE_FILE), (ModelKind.UPSCALER, UPSCALER), (ModelKind.CHECKPOINT, SD1)]
)
def test_what_arrives_is_looked_at_under_the_name_it_will_have(
    tmp_path: Path, kind: ModelKind, shapes: dict[str, tuple[int, ...]]
) -> None:
    part = write(tmp_path / "a.safetensors.part", shapes)
    made = shelf(tmp_path)
    assert made.problem(part, kind, "a.safetensors") is None
    assert made.problem(part, kind, "a.ckpt") is not None
    assert made.problem(part, ModelKind.LORA, "a.safetensors") == f"it is of the kind {kind}, not lora"


def test_what_was_taken_in_is_listed_with_the_hash_it_came_with(tmp_path: Path) -> None:
    made = shelf(tmp_path)
    path = write(tmp_path / "loras" / "ink.safetensors", LORA_SD1)
    assert made.take_in(path, "AB" * 32) == "lora:ink"
    assert listed(made)["lora:ink"].sha256 == "ab" * 32
    assert made.take_in(tmp_path / "gone.safetensors", None) is None


def test_packaged_models_are_named_by_their_names_and_say_whether_they_are_there(tmp_path: Path) -> None:
    infos = packaged(tmp_path)
    assert infos
    for info in infos:
        assert (info.id, info.kind, info.source, info.is_present) == (info.name, None, "packaged", False)
