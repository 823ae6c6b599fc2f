"""Tiny VAEs: told by their tensors, matched to families by their published names."""

import pytest
import torch

from engine.library.layouts import Layout, Root
from engine.library.library import Library, own_root
from engine.library.records import STABLE_1, Family, ModelKind
from engine.library.sniff import ENCODER_ONLY
from engine.library.tiny_vaes import tiny_vae_for
from tests.unit.engine.library.model_files import write, write_json

DECODER = {"1.weight": (2, 4, 3, 3), "3.conv.0.weight": (2,), "18.conv.0.weight": (2,), "19.weight": (3,)}
ENCODER = {"0.weight": (2, 3, 3, 3), "1.conv.0.weight": (2,), "13.conv.0.weight": (2,), "14.weight": (4,)}
DIFFUSERS = {f"decoder.layers.{name}": (2,) for name in ("0.weight", "2.conv.0.weight", "18.weight")}


def models_in(root):
    library = Library([root])
    library.refresh()
    return library.models


def write_folder(path):
    write_json(path / "config.json", {"_class_name": "AutoencoderTiny"})
    write(path / "diffusion_pytorch_model.safetensors", DIFFUSERS)


@pytest.mark.parametrize(
    ("name", "family", "others"),
    [
        ("taesd", Family.SD1, (*STABLE_1, Family.SD2, Family.SD2_INPAINT)),
        ("taesdxl", Family.SDXL, (Family.SDXL_INPAINT, Family.SDXL_REFINER)),
        ("taesd3", Family.SD3, ()),
        ("taef1", Family.FLUX, ()),
    ],
)
def test_decoder_goes_with_the_families_its_name_says_and_no_other(tmp_path, name, family, others):
    (tmp_path / "models" / "checkpoints").mkdir(parents=True)
    place = tmp_path / "models" / "vae_approx"
    write(place / f"{name}_decoder.safetensors", DECODER)
    write(place / f"{name}_encoder.safetensors", ENCODER)
    found = models_in(Root(path=tmp_path))
    assert [(model.name, model.kind, model.family, model.problem) for model in found] == [
        (f"{name}_decoder", ModelKind.PREVIEW_DECODER, family, None),
        (f"{name}_encoder", ModelKind.PREVIEW_DECODER, Family.UNKNOWN, ENCODER_ONLY),
    ]
    fitting = {each for each in Family if tiny_vae_for(found, each) is not None}
    assert fitting == {family, *others}


@pytest.mark.parametrize(
    "shapes", [DECODER, {f"taesd_decoder.{name}": shape for name, shape in DECODER.items()}, DIFFUSERS]
)
def test_decoder_is_told_in_each_layout_of_its_names(tmp_path, shapes):
    write(tmp_path / "anywhere" / "taesdxl.safetensors", shapes)
    (model,) = models_in(own_root(tmp_path))
    assert (model.kind, model.family, model.problem) == (ModelKind.PREVIEW_DECODER, Family.SDXL, None)


def test_pickled_decoder_is_found_where_a1111_keeps_it(tmp_path):
    (tmp_path / "models" / "Stable-diffusion").mkdir(parents=True)
    place = tmp_path / "models" / "VAE-taesd"
    place.mkdir()
    torch.save({name: torch.zeros(1) for name in DECODER}, place / "taesd_decoder.pth")
    torch.save({name: torch.zeros(1) for name in ENCODER}, place / "taesd_encoder.pth")
    found = models_in(Root(path=tmp_path))
    assert [model.problem for model in found] == [None, ENCODER_ONLY]
    assert tiny_vae_for(found, Family.SD1) == found[0]


def test_other_approximations_beside_it_have_a_problem(tmp_path):
    place = tmp_path / "vae_approx"
    place.mkdir()
    torch.save({"conv1.weight": torch.zeros(1)}, place / "vaeapp_sd15.pth")
    (model,) = models_in(Root(path=tmp_path, layout=Layout.FOLDER))
    assert model.kind is ModelKind.PREVIEW_DECODER
    assert model.problem is not None


def test_folder_of_both_halves_is_a_vae_and_is_taken_first(tmp_path):
    write_folder(tmp_path / "vae" / "taesd")
    write(tmp_path / "vae_approx" / "taesd_decoder.safetensors", DECODER)
    found = models_in(own_root(tmp_path))
    assert {model.kind for model in found} == {ModelKind.VAE, ModelKind.PREVIEW_DECODER}
    chosen = tiny_vae_for(found, Family.SD2)
    assert chosen is not None
    assert chosen.is_folder


def test_repository_is_known_by_the_last_part_of_its_name(tmp_path):
    write_folder(tmp_path / "madebyollin" / "taesdxl")
    assert tiny_vae_for(models_in(own_root(tmp_path)), Family.SDXL) is not None


def test_damaged_and_unnamed_ones_are_never_taken(tmp_path):
    write_folder(tmp_path / "vae" / "small")
    (tmp_path / "vae_approx").mkdir()
    (tmp_path / "vae_approx" / "taesd_decoder.safetensors").write_bytes(b"")
    assert tiny_vae_for(models_in(own_root(tmp_path)), Family.SD1) is None
