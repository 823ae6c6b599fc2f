"""What files say of how their pictures were made, read the way Fooocus and A1111 read it."""

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import Image
from safetensors.torch import save_file

from engine.diffusion.made_with import own_sampler
from engine.diffusion.studio import Studio
from engine.models.residency import Residency
from protocol.events import JobWarning, OutputReady
from protocol.requests import TaskName
from protocol.version import SOFTWARE_VERSION
from service.recipes import read_recipe
from tests import tiny_adapters
from tests.unit.engine.diffusion.conftest import FOLDERS, TinyFolder
from tests.unit.engine.diffusion.studios import make, studio_of
from tests.unit.engine.driver import Driver
from tests.unit.engine.pictures import texture

SMALL: Final = {"width": 64, "height": 64}
ASKED: Final[dict[str, Any]] = {
    **SMALL,
    "prompt": "a cat, red: very",
    "negative_prompt": "dog",
    "styles": ["SAI Anime"],
    "prompt_syntax": "fooocus",
    "steps": 2,
    "seed": 2**62,
    "guidance_scale": 4.5,
    "scheduler": "dpmpp_2m_sde",
    "noise_schedule": "karras",
    "sharpness": 2.0,
    "loras": [{"name": "look", "weight": 0.5}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("looks")
    (root / "loras").mkdir()
    save_file(tiny_adapters.kohya_lora(FOLDERS["sd1"](), seed=1, text=False), root / "loras" / "look.safetensors")
    return root


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    tiny_folder("sdxl")
    tiny_folder("sdxl_refiner")
    hashes = tmp_path_factory.mktemp("hashes")
    return studio_of(tiny_folder("sd1").parent, folder, residency=Residency(hashes, "cpu"))


def opened(driver: Driver) -> Image.Image:
    image = Image.open(io.BytesIO(driver.outputs[0].content))
    image.load()
    return image


def as_fooocus_reads(image: Image.Image) -> tuple[Any, str | None]:
    """Parameters and scheme: the texts of a PNG, else two tags of the first EXIF directory."""
    parameters, scheme = image.info.get("parameters"), image.info.get("fooocus_scheme")
    if parameters is None:
        exif = image.getexif()
        parameters, scheme = exif.get(0x9286), exif.get(0x927C)
    assert isinstance(parameters, str)
    try:
        return json.loads(parameters), scheme
    except ValueError:
        return parameters, scheme


def settings_of(text: str) -> dict[str, str]:
    """The last line of a text, as the web interface parts it."""
    found = re.findall(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)', text.split("\n")[-1])
    return {key: json.loads(value) if value.startswith('"') else value for key, value in found}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]


@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp"])
def test_fooocus_finds_its_document_in_every_format(studio: Studio, folder: Path, file_format: str) -> None:
    image = opened(make(studio, {**ASKED, "metadata": "fooocus", "format": file_format}))
    told, scheme = as_fooocus_reads(image)
    assert scheme == told["metadata_scheme"] == "fooocus"
    assert (told["prompt"], told["negative_prompt"]) == ("a cat, red: very", "dog")
    assert (told["steps"], told["seed"], told["guidance_scale"], told["sharpness"]) == (2, str(2**62), 4.5, 2.0)
    assert (told["sampler"], told["scheduler"]) == ("dpmpp_2m_sde", "karras")
    assert told["styles"] == "['SAI Anime']"
    assert told["resolution"] == "(64, 64)"
    assert told["loras"] == [["look", 0.5, sha256(folder / "loras" / "look.safetensors")]]
    model = studio.find("sd1")
    assert told["base_model"] == "sd1"
    assert told["base_model_hash"] == sha256(model.path / "unet" / "diffusion_pytorch_model.safetensors")
    assert told["version"] == f"Safelight {SOFTWARE_VERSION}"
    if file_format != "png":
        assert image.getexif()[0x0131] == f"Safelight {SOFTWARE_VERSION}"


def test_the_full_prompts_are_those_the_data_of_the_output_tell(studio: Studio) -> None:
    driver = make(studio, {**ASKED, "metadata": "fooocus"})
    told, _ = as_fooocus_reads(opened(driver))
    data = driver.of_type(OutputReady)[0].data
    assert data is not None
    assert told["full_prompt"] == data["prompt"] != ["a cat, red: very"]
    assert told["full_negative_prompt"] == data["negative_prompt"]


@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp"])
def test_the_web_interface_finds_its_text_in_every_format(studio: Studio, file_format: str) -> None:
    image = opened(make(studio, {**ASKED, "metadata": "a1111", "format": file_format}))
    if file_format == "png":
        text = image.info["parameters"]
    else:
        comment = image.getexif().get_ifd(0x8769)[0x9286]
        assert comment.startswith(b"UNICODE\x00")
        text = comment[8:].decode("utf-16-be")
    assert as_fooocus_reads(image) == (text, "a1111")
    prompt, negative, _ = text.split("\n")
    assert prompt.startswith("a cat, red: very, ")
    assert negative.startswith("Negative prompt: ")
    told = settings_of(text)
    assert (told["Steps"], told["Sampler"], told["Seed"]) == ("2", "DPM++ 2M SDE Karras", str(2**62))
    assert (told["Size"], told["CFG scale"], told["Model"]) == ("64x64", "4.5", "sd1")
    assert (told["Raw prompt"], told["Raw negative prompt"]) == ("a cat, red: very", "dog")
    assert told["Lora weights"] == "look: 0.5"


@pytest.mark.parametrize("scheme", ["a1111", "fooocus"])
@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp"])
def test_what_a_file_says_is_read_back(studio: Studio, scheme: str, file_format: str) -> None:
    asked = {**ASKED, "prompt": "ein Kätzchen, 猫", "metadata": scheme, "format": file_format}
    found = read_recipe(make(studio, asked).outputs[0].content)
    assert found.scheme == scheme
    assert found.recipe is not None
    assert (found.recipe.prompt, found.recipe.styles) == ("ein Kätzchen, 猫", ("SAI Anime",))
    assert (found.recipe.seed, found.recipe.steps, found.recipe.model) == (2**62, 2, "sd1")
    assert found.recipe.loras[0].weight == 0.5


def test_each_image_says_its_own_seed(studio: Studio) -> None:
    driver = make(studio, {**SMALL, "images": 2, "seed": 7, "steps": 1, "metadata": "a1111"})
    found = [read_recipe(driver.outputs[index].content).recipe for index in (0, 1)]
    assert [each.seed for each in found if each is not None] == [7, 8]


def test_what_the_request_leaves_open_is_said_as_it_counted(studio: Studio) -> None:
    data = make(studio, {**SMALL, "steps": None, "guidance_scale": None, "metadata": "fooocus", "freeu": {}})
    told, _ = as_fooocus_reads(opened(data))
    assert told["steps"] == 25
    assert told["sampler"] == "ddim"
    assert told["freeu"] == "(1.5, 1.6, 0.9, 0.2)"
    assert told["refiner_model"] == "None"
    assert told["vae"] == "Default (model)"


def test_a_refiner_is_named_with_when_and_how_it_took_over(studio: Studio) -> None:
    asked = {**SMALL, "model": "sdxl", "steps": 4, "refiner": "sdxl_refiner", "refiner_start": 0.5, "clip_skip": 1}
    told, _ = as_fooocus_reads(opened(make(studio, {**asked, "metadata": "fooocus"})))
    assert (told["refiner_model"], told["refiner_switch"], told["refiner_swap_method"]) == (
        "sdxl_refiner",
        0.5,
        "separate",
    )
    assert len(told["refiner_model_hash"]) == 10
    assert told["clip_skip"] == 3


def test_hashes_are_computed_once(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {**SMALL, "steps": 1, "metadata": "a1111"}
    make(studio, asked)
    monkeypatch.setattr("engine.library.hashes._digest", lambda _files: pytest.fail("it was computed again"))
    found = read_recipe(make(studio, asked).outputs[0].content).recipe
    assert found is not None
    assert found.model_hash is not None


def test_nothing_is_said_that_was_not_asked_for(studio: Studio) -> None:
    image = opened(make(studio, {**SMALL, "steps": 1}))
    assert not image.info
    assert not image.getexif()


def test_a_format_without_a_place_for_it_is_told(studio: Studio, tmp_path: Path) -> None:
    photo = tmp_path / "in.bmp"
    Image.fromarray(texture(64, 64)).save(photo)
    asked = {"steps": 2, "strength": 0.5, "format": "source", "metadata": "a1111"}
    driver = make(studio, asked, task=TaskName.IMAGE_TO_IMAGE, inputs={"image": photo})
    assert [warning.code for warning in driver.of_type(JobWarning)] == ["metadata_unused"]


def test_more_than_a_jpeg_can_hold_is_told(studio: Studio) -> None:
    driver = make(studio, {**SMALL, "prompt": "cat " * 5000, "steps": 1, "format": "jpeg", "metadata": "a1111"})
    assert "metadata_unused" in [warning.code for warning in driver.of_type(JobWarning)]


def test_what_the_given_picture_said_gives_way_to_what_this_one_was_made_with(studio: Studio, tmp_path: Path) -> None:
    asked = {"steps": 2, "strength": 0.5, "seed": 9, "metadata": "a1111", "keep_metadata": True, "format": "jpeg"}
    first = Image.Exif()
    first[270] = "A harbour"
    photo = tmp_path / "in.jpg"
    Image.fromarray(texture(64, 64)).save(photo, exif=first)
    driver = make(studio, asked, task=TaskName.IMAGE_TO_IMAGE, inputs={"image": photo})
    image = opened(driver)
    assert image.getexif()[270] == "A harbour"
    found = read_recipe(driver.outputs[0].content).recipe
    assert found is not None
    assert found.seed == 9


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"_class_name": "EulerDiscreteScheduler"}, "euler"),
        ({"_class_name": "PNDMScheduler"}, "pndm"),
        ({"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++"}, "dpmpp_2m_sde"),
        ({"_class_name": "DPMSolverMultistepScheduler"}, "dpmpp_2m"),
        ({"_class_name": "UniPCMultistepScheduler"}, "uni_pc"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, "flow_euler"),
        ({"_class_name": "SomethingScheduler"}, "SomethingScheduler"),
    ],
)
def test_a_models_own_sampler_has_a_name(config: dict[str, str], name: str) -> None:
    assert own_sampler(config) == name
