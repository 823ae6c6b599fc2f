"""Where weight files are looked for, what the environment replaces, and what a licence allows."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine.inpainting.erasers import SPECS
from engine.inpainting.fcf import FCF
from engine.inpainting.ldm import LDM
from engine.inpainting.listing import listed
from engine.inpainting.mat import MAT
from engine.inpainting.published import FILES, LICENCES, TITLES, VARIABLES
from engine.inpainting.weights import Weights
from engine.interface import EngineError
from protocol.erasing import EraseModel
from protocol.errors import ErrorCode
from protocol.models import ModelKind
from protocol.requests import TaskName

_HUB = "torch/hub/checkpoints"


def put(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize("place", ["", "erasers", _HUB])
def test_file_is_found_in_the_models_folder_and_in_iopaints_arrangement_of_it(tmp_path: Path, place: str) -> None:
    path = put(tmp_path / place, "places_512_G.pth")
    assert Weights(models_dir=tmp_path, environ={}).locate(FCF) == (path,)


@pytest.mark.parametrize("place", ["", _HUB])
def test_file_is_found_in_the_folders_of_other_programs(tmp_path: Path, place: str) -> None:
    path = put(tmp_path / "iopaint" / place, "places_512_G.pth")
    weights = Weights(models_dir=tmp_path / "models", folders=(tmp_path / "iopaint",), environ={})
    assert weights.locate(FCF) == (path,)
    assert not (tmp_path / "models").exists()


def test_own_file_goes_before_that_of_another_program(tmp_path: Path) -> None:
    put(tmp_path / "iopaint", "places_512_G.pth")
    own = put(tmp_path / "models" / "erasers", "places_512_G.pth")
    weights = Weights(models_dir=tmp_path / "models", folders=(tmp_path / "iopaint",), environ={})
    assert weights.locate(FCF) == (own,)


def test_files_come_in_the_order_the_loader_wants_them(tmp_path: Path) -> None:
    names = ["cond_stage_model_encode.pt", "cond_stage_model_decode.pt", "diffusion.pt"]
    paths = [put(tmp_path, name) for name in reversed(names)]
    assert Weights(models_dir=tmp_path, environ={}).locate(LDM) == tuple(reversed(paths))


def test_missing_files_are_named_with_their_address_and_where_to_put_them(tmp_path: Path) -> None:
    put(tmp_path, "diffusion.pt")
    weights = Weights(models_dir=tmp_path, environ={})
    with pytest.raises(EngineError) as caught:
        weights.locate(LDM)
    assert caught.value.code is ErrorCode.MODEL_MISSING
    message = caught.value.message
    assert "https://github.com/Sanster/models/releases/download/add_ldm/cond_stage_model_encode.pt" in message
    assert "cond_stage_model_decode.pt" in message
    assert "diffusion.pt" not in message
    assert "erasers" in message
    assert str(tmp_path) not in message  # whoever asks may be anybody
    assert [file.name for file in weights.missing(LDM)] == ["cond_stage_model_encode.pt", "cond_stage_model_decode.pt"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@mirror.test/x/net.pth?token=secret#secret", "from https://mirror.test/x/net.pth into"),
        ("/srv/secret/net.pth", "net.pth from where the operator says into"),
    ],
)
def test_what_an_address_holds_for_the_server_alone_is_not_shown(tmp_path: Path, url: str, shown: str) -> None:
    with pytest.raises(EngineError) as caught:
        Weights(models_dir=tmp_path, environ={"FCF_MODEL_URL": url}).locate(FCF)
    assert shown in caught.value.message
    assert "secret" not in caught.value.message


def test_environment_replaces_address_and_checksum(tmp_path: Path) -> None:
    environ = {"FCF_MODEL_URL": "https://mirror.test/x/mine%20G.pth?token=1", "FCF_MODEL_MD5": "AB" * 16}
    weights = Weights(models_dir=tmp_path, environ=environ)
    (file,) = weights.files(FCF)
    assert (file.name, file.url, file.md5) == ("mine G.pth", environ["FCF_MODEL_URL"], "ab" * 16)
    put(tmp_path, "places_512_G.pth")
    assert not weights.is_present(FCF)
    put(tmp_path, "mine G.pth")
    assert weights.is_present(FCF)


def test_address_in_the_environment_may_be_a_file_of_this_machine(tmp_path: Path) -> None:
    path = put(tmp_path / "elsewhere", "my.pth")
    weights = Weights(models_dir=tmp_path / "models", environ={"FCF_MODEL_URL": str(path)})
    assert weights.locate(FCF) == (path,)


@pytest.mark.parametrize("url", ["https://mirror.test/", "https://mirror.test/a/.."])
def test_address_without_a_name_keeps_the_published_one(tmp_path: Path, url: str) -> None:
    (file,) = Weights(models_dir=tmp_path, environ={"FCF_MODEL_URL": url}).files(FCF)
    assert file.name == "places_512_G.pth"


def test_every_published_file_has_its_variables_and_a_checksum() -> None:
    names = [file.name for files in FILES.values() for file in files]
    assert sorted(names) == sorted(VARIABLES)
    assert len(set(VARIABLES.values())) == len(VARIABLES)
    for files in FILES.values():
        for file in files:
            assert len(file.md5) == 32
            assert file.url.endswith(f"/{file.name}")


def test_models_with_weights_are_those_with_a_licence_a_title_and_a_spec() -> None:
    with_files = {name for name, spec in SPECS.items() if spec.files}
    assert with_files == set(FILES) == set(LICENCES) == set(TITLES)
    assert set(SPECS) == set(EraseModel)
    for name in with_files:
        spec = SPECS[name]
        assert spec.name is name
        assert spec.files == FILES[name]
        assert (spec.licence, spec.is_commercial) == (LICENCES[name].name, LICENCES[name].is_commercial)


@pytest.mark.parametrize(
    "spec", [spec for spec in SPECS.values() if not spec.is_commercial], ids=lambda each: each.name
)
def test_model_that_is_not_for_commercial_use_needs_the_setting(tmp_path: Path, spec: object) -> None:
    with pytest.raises(EngineError) as caught:
        Weights(models_dir=tmp_path).check_licence(spec)
    assert caught.value.code is ErrorCode.FORBIDDEN
    assert "allow_noncommercial_models" in caught.value.message
    Weights(models_dir=tmp_path, allows_noncommercial=True).check_licence(spec)


def test_which_models_are_not_for_commercial_use() -> None:
    assert {name for name, spec in SPECS.items() if not spec.is_commercial} == {
        EraseModel.MAT,
        EraseModel.FCF,
        EraseModel.ANIME_LAMA,
    }


def test_model_that_is_for_commercial_use_needs_nothing(tmp_path: Path) -> None:
    Weights(models_dir=tmp_path).check_licence(LDM)


def test_listing_shows_licence_presence_and_what_speaks_against_a_model(tmp_path: Path) -> None:
    put(tmp_path, "places_512_G.pth")
    infos = {info.name: info for info in listed(Weights(models_dir=tmp_path, environ={}))}
    assert set(infos) == {name.value for name in FILES}
    fcf, ldm = infos["fcf"], infos["ldm"]
    assert (fcf.id, fcf.kind, fcf.is_present, fcf.size_bytes) == ("eraser:fcf", ModelKind.ERASER, True, len(b"weights"))
    assert fcf.problem is not None
    assert fcf.tasks == ()
    assert (ldm.licence, ldm.is_present, ldm.problem, ldm.tasks) == ("MIT", False, None, (TaskName.ERASE,))
    allowed = {info.name: info for info in listed(Weights(models_dir=tmp_path, allows_noncommercial=True, environ={}))}
    assert allowed["fcf"].problem is None
    assert allowed["mat"].licence == "CC-BY-NC-4.0"


def test_a_download_goes_to_its_own_folder(tmp_path: Path) -> None:
    weights = Weights(models_dir=tmp_path, environ={})
    assert weights.target(MAT.files[0]) == tmp_path / "erasers" / "Places_512_FullData_G.pth"
    assert replace(weights, allows_noncommercial=True).target(MAT.files[0]) == weights.target(MAT.files[0])
