import json

import pytest

from engine.library.folders import BadFolder, denoiser_weights, look_into
from engine.library.records import Family, ModelKind, Prediction
from tests.unit.engine.library.model_files import CONTROLNET, VAE_FILE, content, write, write_json, write_pipeline

XL = {"in_channels": 4, "cross_attention_dim": 2048}


@pytest.mark.parametrize(
    ("class_name", "unet", "text_encoder", "family"),
    [
        ("StableDiffusionPipeline", {"in_channels": 4, "cross_attention_dim": 768}, True, Family.SD1),
        ("StableDiffusionPipeline", {"in_channels": 4, "cross_attention_dim": 32}, True, Family.SD1),
        ("StableDiffusionPipeline", {"in_channels": 4, "cross_attention_dim": 1024}, True, Family.SD2),
        ("StableDiffusionPipeline", {"cross_attention_dim": 32, "use_linear_projection": True}, True, Family.SD2),
        ("StableDiffusionInpaintPipeline", {"in_channels": 9, "cross_attention_dim": 768}, True, Family.SD1_INPAINT),
        ("StableDiffusionInpaintPipeline", {"in_channels": 4, "cross_attention_dim": 768}, True, Family.SD1),
        ("StableDiffusionInpaintPipeline", {"in_channels": 9, "cross_attention_dim": 1024}, True, Family.SD2_INPAINT),
        ("StableDiffusionInstructPix2PixPipeline", {"in_channels": 8}, True, Family.INSTRUCT_PIX2PIX),
        ("PaintByExamplePipeline", {"in_channels": 9, "cross_attention_dim": 768}, False, Family.PAINT_BY_EXAMPLE),
        ("StableDiffusionXLPipeline", XL, True, Family.SDXL),
        ("StableDiffusionXLInpaintPipeline", {**XL, "in_channels": 9}, True, Family.SDXL_INPAINT),
        ("StableDiffusionXLImg2ImgPipeline", {**XL, "cross_attention_dim": 1280}, False, Family.SDXL_REFINER),
        ("FluxPipeline", {"in_channels": 64}, True, Family.FLUX),
        ("StableDiffusion3Pipeline", {"in_channels": 16}, True, Family.SD3),
        ("KolorsPipeline", XL, True, Family.OTHER),
    ],
)
def test_family_is_told_by_the_pipeline_and_its_unet(tmp_path, class_name, unet, text_encoder, family):
    look = look_into(write_pipeline(tmp_path / "m", class_name, unet=unet, text_encoder=text_encoder))
    assert look is not None
    assert (look.sniffed.kind, look.sniffed.family, look.sniffed.problem) == (ModelKind.CHECKPOINT, family, None)


@pytest.mark.parametrize("name", ["KandinskyV22InpaintPipeline", "KandinskyV22PriorPipeline", "KandinskyPipeline"])
def test_half_of_a_model_has_a_problem(tmp_path, name):
    assert "half of a Kandinsky model" in problem_of(write_pipeline(tmp_path / "m", name))


@pytest.mark.parametrize("name", ["Kandinsky3Pipeline", "KandinskyV22CombinedPipeline"])
def test_whole_model_by_the_same_makers_has_none(tmp_path, name):
    look = look_into(write_pipeline(tmp_path / "m", name))
    assert look is not None
    assert look.sniffed.problem is None


WORDS = [f"{word}_{number}" for word in ("P_ctxt", "P_shape", "P_obj") for number in range(2)]


@pytest.mark.parametrize(
    ("file", "value"),
    [
        ("added_tokens.json", {word: number for number, word in enumerate(WORDS)}),
        ("tokenizer_config.json", {"added_tokens_decoder": {str(at): {"content": w} for at, w in enumerate(WORDS)}}),
        ("tokenizer.json", {"added_tokens": [{"id": at, "content": word} for at, word in enumerate(WORDS)]}),
    ],
)
def test_inpainting_model_that_knows_powerpaints_words_is_told_by_any_file_of_its_tokenizer(tmp_path, file, value):
    unet = {"in_channels": 9, "cross_attention_dim": 768}
    folder = write_pipeline(tmp_path / "m", "StableDiffusionInpaintPipeline", unet=unet)
    write_json(folder / "tokenizer" / file, value)
    look = look_into(folder)
    assert look is not None
    assert (look.sniffed.family, look.sniffed.problem) == (Family.POWERPAINT, None)


@pytest.mark.parametrize("value", [{"added_tokens": [{"content": w} for w in WORDS[:4]]}, {"added_tokens": 3}, [], 7])
def test_tokenizer_that_lacks_one_of_powerpaints_words_is_an_ordinary_one(tmp_path, value):
    unet = {"in_channels": 9, "cross_attention_dim": 768}
    folder = write_pipeline(tmp_path / "m", "StableDiffusionInpaintPipeline", unet=unet)
    write_json(folder / "tokenizer" / "tokenizer.json", value)
    look = look_into(folder)
    assert look is not None
    assert look.sniffed.family is Family.SD1_INPAINT


@pytest.mark.parametrize("prediction", list(Prediction))
def test_prediction_is_that_of_the_scheduler(tmp_path, prediction):
    look = look_into(write_pipeline(tmp_path / "m", prediction=prediction))
    assert look is not None
    assert look.sniffed.prediction is prediction


def problem_of(folder):
    look = look_into(folder)
    assert look is not None
    assert look.sniffed.problem is not None
    assert str(folder.parent) not in look.sniffed.problem
    return look.sniffed.problem


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("unet/diffusion_pytorch_model.safetensors", "'unet' has no weights"),
        ("text_encoder/model.safetensors", "'text_encoder' has no weights"),
        ("unet/config.json", "unet/config.json is missing"),
    ],
)
def test_folder_without_one_of_its_files_has_a_problem(tmp_path, file, words):
    folder = write_pipeline(tmp_path / "m")
    (folder / file).unlink()
    assert words in problem_of(folder)


def test_folder_without_one_of_its_parts_has_a_problem(tmp_path):
    folder = write_pipeline(tmp_path / "m")
    (folder / "scheduler" / "scheduler_config.json").unlink()
    (folder / "scheduler").rmdir()
    assert "'scheduler' is missing" in problem_of(folder)


def test_missing_safety_checker_is_no_problem(tmp_path):
    folder = write_pipeline(tmp_path / "m")
    assert "safety_checker" in json.loads((folder / "model_index.json").read_text())
    assert not (folder / "safety_checker").exists()
    look = look_into(folder)
    assert look is not None
    assert look.sniffed.problem is None


def test_truncated_weights_in_a_folder_are_a_problem(tmp_path):
    folder = write_pipeline(tmp_path / "m")
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert "vae/diffusion_pytorch_model.safetensors: the file is truncated" in problem_of(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"_class_name": 3}', "[" * 100_000])
def test_damaged_index_is_a_problem(tmp_path, text):
    folder = write_pipeline(tmp_path / "m")
    (folder / "model_index.json").write_text(text)
    assert "model_index.json" in problem_of(folder)


def test_part_outside_of_the_folder_is_refused(tmp_path):
    write(tmp_path / "other" / "model.safetensors", VAE_FILE)
    folder = write_pipeline(tmp_path / "m")
    write_json(folder / "model_index.json", {"_class_name": "FluxPipeline", "../other": ["diffusers", "AutoencoderKL"]})
    assert "outside" in problem_of(folder)


def test_safetensors_are_taken_before_pickles_and_full_before_half(tmp_path):
    folder = write_pipeline(tmp_path / "m")
    unet = folder / "unet"
    for name in ("diffusion_pytorch_model.bin", "diffusion_pytorch_model.fp16.safetensors"):
        (unet / name).write_bytes(b"not looked at")
    look = look_into(folder)
    assert look is not None
    assert not look.is_pickle
    assert denoiser_weights(folder) == (unet / "diffusion_pytorch_model.safetensors",)
    (unet / "diffusion_pytorch_model.safetensors").unlink()
    assert denoiser_weights(folder) == (unet / "diffusion_pytorch_model.fp16.safetensors",)
    (unet / "diffusion_pytorch_model.fp16.safetensors").unlink()
    look = look_into(folder)
    assert look is not None
    assert look.is_pickle


def test_weights_in_pieces_are_whole_only_with_all_pieces(tmp_path):
    folder = write_pipeline(tmp_path / "m")
    unet = folder / "unet"
    (unet / "diffusion_pytorch_model.safetensors").unlink()
    names = [f"diffusion_pytorch_model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = unet / "diffusion_pytorch_model.safetensors.index.json"
    write_json(index, {"weight_map": {"b": names[1], "a": names[0], "c": names[0]}})
    write(unet / names[0], {"a": (1,), "c": (2,)})
    assert "a piece of the weights of 'unet' is missing" in problem_of(folder)
    write(unet / names[1], {"b": (1,)})
    assert denoiser_weights(folder) == tuple(unet / name for name in names)
    write_json(index, {"weight_map": {"a": "../../secret.safetensors"}})
    (tmp_path / "secret.safetensors").write_bytes(content({"a": (1,)}))
    assert "a piece" in problem_of(folder)


@pytest.mark.parametrize(
    ("config", "kind", "family"),
    [
        ({"_class_name": "AutoencoderKL", "scaling_factor": 0.18215}, ModelKind.VAE, Family.UNKNOWN),
        ({"_class_name": "AutoencoderKL", "scaling_factor": 0.13025}, ModelKind.VAE, Family.SDXL),
        ({"_class_name": "ControlNetModel", "cross_attention_dim": 768}, ModelKind.CONTROLNET, Family.SD1),
        ({"_class_name": "ControlNetModel", "cross_attention_dim": 1024}, ModelKind.CONTROLNET, Family.SD2),
        ({"_class_name": "ControlNetModel", "addition_embed_type": "text_time"}, ModelKind.CONTROLNET, Family.SDXL),
        ({"_class_name": "BrushNetModel", "cross_attention_dim": 768}, ModelKind.BRUSHNET, Family.SD1),
        ({"_class_name": "BrushNetModel", "addition_embed_type": "text_time"}, ModelKind.BRUSHNET, Family.SDXL),
        ({"architectures": ["CLIPVisionModelWithProjection"]}, ModelKind.IMAGE_ENCODER, Family.OTHER),
    ],
)
def test_part_that_is_a_model_of_its_own_is_told_by_its_class(tmp_path, config, kind, family):
    write_json(tmp_path / "config.json", config)
    write(tmp_path / "model.safetensors", CONTROLNET)
    look = look_into(tmp_path)
    assert look is not None
    assert (look.sniffed.kind, look.sniffed.family, look.sniffed.problem) == (kind, family, None)


@pytest.mark.parametrize(
    "config", [{"_class_name": "UNet2DConditionModel"}, {"architectures": []}, {"_class_name": {}}, 3]
)
def test_other_parts_are_passed_by(tmp_path, config):
    write_json(tmp_path / "config.json", config)
    assert look_into(tmp_path) is None


def test_denoiser_weights_of_an_empty_folder_are_an_error(tmp_path):
    with pytest.raises(BadFolder):
        denoiser_weights(tmp_path)
