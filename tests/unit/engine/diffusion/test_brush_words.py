"""PowerPaint's second version: a BrushNet that is told what to do with a hole in words of its own."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.diffusion.brush_words import READINGS
from engine.diffusion.studio import Studio
from engine.interface import EngineError
from engine.library.task_words import TaskWord
from engine.models.residency import Residency
from protocol.errors import ErrorCode
from protocol.repainting import RepaintTask
from protocol.requests import TaskName
from tests import tiny_brushnets
from tests.tiny_brushnets import make_brushnet
from tests.tiny_editors import with_task_words
from tests.tiny_models import make_text_encoder, make_tokenizer, seeded
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.studios import Pixels, draw, make, studio_of
from tests.unit.engine.pictures import save

PHOTO: Final = np.random.default_rng(4).integers(0, 256, (64, 64, 3), np.uint8)
HOLE: Final = {"regions": [{"x": 16, "y": 8, "width": 30, "height": 40}], "crop": False, "mask_blur_px": 0}
ASKED: Final = {**HOLE, "deterministic": True, "guidance_scale": 3.0, "steps": 3}
NAME: Final = "PowerPaint_Brushnet"


def write_powerpaint(folder: Path, encoder: str = "text_encoder_brushnet", hidden: int = 16) -> None:
    """The network, its text encoder and its tokenizer, as they are published."""
    tokenizer = with_task_words(make_tokenizer())
    with seeded(6):
        text_encoder = make_text_encoder(hidden)
        text_encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    make_brushnet(tiny_brushnets.ATTENDING).save_pretrained(folder / NAME)
    text_encoder.save_pretrained(folder / encoder)
    tokenizer.save_pretrained(folder / "tokenizer")


@pytest.fixture(scope="module")
def powerpaint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("powerpaint")
    write_powerpaint(folder)
    return folder


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder, powerpaint: Path) -> Studio:
    return studio_of(tiny_folder("sd1").parent, powerpaint)


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    return {"image": save(tmp_path / "photo.png", PHOTO)}


def painted(studio: Studio, inputs: dict[str, Path], **params: Any) -> Pixels:
    asked = {**ASKED, "brushnet": {"model": NAME}, **params}
    return draw(studio, asked, task=TaskName.INPAINT, inputs=inputs)


def told(monkeypatch: pytest.MonkeyPatch, studio: Studio, inputs: dict[str, Path], **params: Any) -> Tensor:
    """What the network was given to read in the first step of a job."""
    heard: list[Tensor] = []
    brushnet = type(make_brushnet())
    forward = brushnet._walk

    def listening(self: Any, given: Tensor, embedded: Tensor, text: Tensor) -> None:
        heard.append(text)
        forward(self, given, embedded, text)

    monkeypatch.setattr(brushnet, "_walk", listening)
    painted(studio, inputs, **params)
    return heard[0]


def encoded(powerpaint: Path, text: str) -> Tensor:
    """By the library that the encoder was written with."""
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(powerpaint / "tokenizer")
    ids = tokenizer(text, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
    made: Tensor = CLIPTextModel.from_pretrained(powerpaint / "text_encoder_brushnet")(ids).last_hidden_state
    return made


def words(powerpaint: Path, word: str | None) -> str:
    from transformers import CLIPTokenizer

    added = CLIPTokenizer.from_pretrained(powerpaint / "tokenizer").get_added_vocab()
    return "" if word is None else " ".join(sorted(entry for entry in added if entry.startswith(f"{word}_")))


@pytest.mark.parametrize(
    ("task", "wanted", "avoided"),
    [
        ("text-guided", "P_obj", "P_obj"),
        ("context-aware", "P_ctxt", None),
        ("shape-guided", "P_shape", "P_shape"),
        ("object-remove", "P_ctxt", "P_obj"),
        ("outpainting", "P_ctxt", "P_obj"),
    ],
)
def test_a_task_is_the_words_its_encoder_reads_and_nothing_else(
    studio: Studio,
    powerpaint: Path,
    inputs: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    wanted: str,
    avoided: str | None,
) -> None:
    text = told(monkeypatch, studio, inputs, repaint_task=task)
    expected = torch.cat([encoded(powerpaint, words(powerpaint, word)) for word in (avoided, wanted)])
    assert torch.allclose(text, expected, atol=1e-5)


def test_without_guidance_nothing_is_avoided(
    studio: Studio, powerpaint: Path, inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = told(monkeypatch, studio, inputs, repaint_task="object-remove", guidance_scale=1.0)
    assert torch.allclose(text, encoded(powerpaint, words(powerpaint, "P_ctxt")), atol=1e-5)


def test_the_fitting_degree_mixes_the_shape_with_the_context(
    studio: Studio, powerpaint: Path, inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = told(monkeypatch, studio, inputs, repaint_task="shape-guided", fitting_degree=0.25)
    shape, context = (encoded(powerpaint, words(powerpaint, word)) for word in ("P_shape", "P_ctxt"))
    assert torch.allclose(text, (0.25 * shape + 0.75 * context).expand(2, -1, -1), atol=1e-5)


def test_every_task_has_its_words_and_a_degree_counts_for_shapes_alone() -> None:
    assert READINGS.keys() == set(RepaintTask)
    mixed = {task for task, reading in READINGS.items() if reading.wanted[0] is not reading.wanted[1]}
    assert mixed == {RepaintTask.SHAPE_GUIDED}
    assert READINGS[RepaintTask.SHAPE_GUIDED].wanted == (TaskWord.SHAPE, TaskWord.CONTEXT)


def test_the_task_the_degree_and_the_prompt_count_in_the_picture(studio: Studio, inputs: dict[str, Path]) -> None:
    shaped = {"repaint_task": "shape-guided"}
    drawn = [
        painted(studio, inputs, **params)
        for params in (
            {},
            {"repaint_task": "object-remove"},
            shaped,
            {**shaped, "fitting_degree": 0.3},
            {"prompt": "a dog"},
            {"brushnet": None},
        )
    ]
    assert len({picture.tobytes() for picture in drawn}) == len(drawn)


def test_by_itself_a_hole_is_painted_by_the_text_and_a_border_as_the_picture_goes_on(
    studio: Studio, inputs: dict[str, Path]
) -> None:
    assert np.array_equal(painted(studio, inputs), painted(studio, inputs, repaint_task="text-guided"))
    border = {"deterministic": True, "steps": 3, "right": 16, "brushnet": {"model": NAME}}
    drawn = [
        draw(studio, {**border, **more}, task=TaskName.OUTPAINT, inputs=inputs)
        for more in ({}, {"repaint_task": "outpainting"}, {"repaint_task": "text-guided"})
    ]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize(
    ("params", "warnings"),
    [
        ({"repaint_task": "object-remove"}, []),
        ({"repaint_task": "shape-guided", "fitting_degree": 0.5}, []),
        ({"fitting_degree": 0.5}, ["fitting_degree_unused"]),
        ({"repaint_task": "object-remove", "brushnet": None}, ["repaint_task_unused"]),
    ],
    ids=str,
)
def test_a_task_is_warned_about_where_nobody_reads_it(
    studio: Studio, inputs: dict[str, Path], params: dict[str, Any], warnings: list[str]
) -> None:
    asked = {**ASKED, "brushnet": {"model": NAME}, **params}
    assert make(studio, asked, task=TaskName.INPAINT, inputs=inputs).warnings == warnings


def test_the_authors_name_of_the_encoders_folder_is_known_too(
    tiny_folder: TinyFolder, tmp_path: Path, studio: Studio, inputs: dict[str, Path]
) -> None:
    write_powerpaint(tmp_path / "theirs", encoder="text_encoder")
    theirs = studio_of(tiny_folder("sd1").parent, tmp_path / "theirs")
    asked = {"repaint_task": "object-remove"}
    assert np.array_equal(painted(theirs, inputs, **asked), painted(studio, inputs, **asked))


def test_a_single_file_finds_the_encoder_beside_it(
    tiny_folder: TinyFolder, tmp_path: Path, studio: Studio, inputs: dict[str, Path]
) -> None:
    write_powerpaint(tmp_path / "theirs")
    (tmp_path / "theirs" / NAME / "config.json").unlink()
    (weights,) = (tmp_path / "theirs" / NAME).iterdir()
    weights.rename(tmp_path / "theirs" / f"{NAME}.safetensors")
    theirs = studio_of(tiny_folder("sd1").parent, tmp_path / "theirs")
    asked = {"repaint_task": "object-remove"}
    assert np.array_equal(painted(theirs, inputs, **asked), painted(studio, inputs, **asked))


def test_its_encoder_is_held_in_memory_with_it(tiny_folder: TinyFolder, powerpaint: Path, inputs: Any) -> None:
    residency = Residency(Path(), "cpu", budget_bytes=1 << 30)
    studio = studio_of(tiny_folder("sd1").parent, powerpaint, residency=residency)
    painted(studio, inputs)
    assert residency.names == ("checkpoint:sd1", f"brushnet:{NAME}")
    files = sum(
        file.stat().st_size for name in (NAME, "text_encoder_brushnet") for file in (powerpaint / name).iterdir()
    )
    network = sum(file.stat().st_size for file in (powerpaint / NAME).iterdir())
    sd1 = studio_of(tiny_folder("sd1").parent, residency=(alone := Residency(Path(), "cpu", budget_bytes=1 << 30)))
    draw(sd1, {"steps": 1})
    assert network < alone.room_bytes - residency.room_bytes <= files


def test_an_encoder_of_another_width_is_refused(
    tiny_folder: TinyFolder, tmp_path: Path, inputs: dict[str, Path]
) -> None:
    write_powerpaint(tmp_path / "wide", hidden=24)
    studio = studio_of(tiny_folder("sd1").parent, tmp_path / "wide")
    with pytest.raises(EngineError, match="text_encoder_brushnet is of width 24, and the BrushNet reads 16") as error:
        painted(studio, inputs)
    assert error.value.code is ErrorCode.BAD_MODEL
