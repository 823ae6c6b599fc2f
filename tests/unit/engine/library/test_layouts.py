import pytest

from engine.library.layouts import HINTS, Layout, ModelFolder, Root, folders_of, recognise
from engine.library.records import ModelKind
from tests.unit.engine.library.model_files import write_json, write_repository


def make(path, *folders):
    for folder in folders:
        (path / folder).mkdir(parents=True)
    return path


def kinds(root):
    return {folder.path.relative_to(root.path).as_posix(): folder.kind for folder in folders_of(root)}


@pytest.mark.parametrize(
    ("folders", "layout"),
    [
        (("models/checkpoints", "custom_nodes"), Layout.COMFYUI),
        (("models/Stable-diffusion", "models/Lora"), Layout.A1111),
        (("models/checkpoints", "models/prompt_expansion"), Layout.FOOOCUS),
        (("torch/hub/checkpoints",), Layout.IOPAINT),
        (("stable_diffusion",), Layout.IOPAINT),
        (("hub/models--a--b",), Layout.HUGGINGFACE),
        (("models--a--b",), Layout.HUGGINGFACE),
        (("checkpoints", "loras"), Layout.FOLDER),
        ((), Layout.FOLDER),
    ],
)
def test_folder_is_recognised_by_its_structure(tmp_path, folders, layout):
    assert recognise(make(tmp_path, *folders)) is layout


def test_folder_that_is_not_there_is_a_plain_one(tmp_path):
    assert recognise(tmp_path / "gone") is Layout.FOLDER


def test_fooocus_is_recognised_by_its_settings(tmp_path):
    write_json(tmp_path / "config.txt", {"path_checkpoints": "/somewhere"})
    assert recognise(tmp_path) is Layout.FOOOCUS
    write_json(tmp_path / "config.txt", {"colour": "blue"})
    assert recognise(tmp_path) is Layout.FOLDER


def test_comfyui_keeps_its_models_in_these_folders(tmp_path):
    found = kinds(Root(path=make(tmp_path, "models/checkpoints")))
    assert found == {
        "models/checkpoints": ModelKind.CHECKPOINT,
        "models/diffusers": ModelKind.CHECKPOINT,
        "models/unet": ModelKind.CHECKPOINT,
        "models/diffusion_models": ModelKind.CHECKPOINT,
        "models/loras": ModelKind.LORA,
        "models/vae": ModelKind.VAE,
        "models/controlnet": ModelKind.CONTROLNET,
        "models/ipadapter": ModelKind.IP_ADAPTER,
        "models/vae_approx": ModelKind.PREVIEW_DECODER,
        "models/upscale_models": ModelKind.UPSCALER,
        "models/embeddings": ModelKind.EMBEDDING,
        "models/clip_vision": ModelKind.IMAGE_ENCODER,
    }


def test_a1111_keeps_its_models_in_these_folders(tmp_path):
    found = kinds(Root(path=make(tmp_path, "models/Stable-diffusion")))
    assert (
        found.items()
        >= {
            "models/Stable-diffusion": ModelKind.CHECKPOINT,
            "models/Lora": ModelKind.LORA,
            "models/VAE": ModelKind.VAE,
            "models/VAE-taesd": ModelKind.PREVIEW_DECODER,
            "models/ControlNet": ModelKind.CONTROLNET,
            "models/ESRGAN": ModelKind.UPSCALER,
            "models/RealESRGAN": ModelKind.UPSCALER,
            "embeddings": ModelKind.EMBEDDING,
        }.items()
    )


def test_comfyui_has_further_folders_named_by_its_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("ELSEWHERE", "/big/disk")
    root = make(tmp_path, "models/checkpoints")
    (root / "extra_model_paths.yaml").write_text(
        "a111:\n"
        "  base_path: /opt/webui/\n"
        "  is_default: true\n"
        "  checkpoints: models/Stable-diffusion\n"
        "  loras: |\n    models/Lora\n    models/LyCORIS\n"
        "  hypernetworks: models/hypernetworks\n"
        "mine:\n"
        "  vae: more/vae\n"
        "  controlnet: $ELSEWHERE/controlnet\n"
        "broken: 3\n"
    )
    found = {(folder.path.as_posix(), folder.kind) for folder in folders_of(Root(path=root))}
    assert found >= {
        ("/opt/webui/models/Stable-diffusion", ModelKind.CHECKPOINT),
        ("/opt/webui/models/Lora", ModelKind.LORA),
        ("/opt/webui/models/LyCORIS", ModelKind.LORA),
        ((root / "more/vae").as_posix(), ModelKind.VAE),
        ("/big/disk/controlnet", ModelKind.CONTROLNET),
    }
    assert not any("hypernetworks" in path for path, _ in found)


@pytest.mark.parametrize(
    "text",
    [
        b"- a\n- b",
        b"a: [",
        b"\xff\xfe",
        b"a: !!python/object/apply:os.system [exit]",
        b"[" * 2000,
        b"a: {checkpoints: {x: 1}, loras: [1, 2], base_path: 7, vae: \"a\\0b\"}",
    ],
)  # fmt: skip
def test_damaged_settings_name_nothing(tmp_path, text):
    root = make(tmp_path, "models/checkpoints")
    before = list(folders_of(Root(path=root)))
    (root / "extra_model_paths.yaml").write_bytes(text)
    assert list(folders_of(Root(path=root))) == before


def test_fooocus_has_folders_named_by_its_settings(tmp_path):
    settings = {
        "path_checkpoints": ["/one", "../models/two"],
        "path_loras": "/loras",
        "path_outputs": "/out",
        "path_vae": 3,
    }
    write_json(tmp_path / "config.txt", settings)
    found = [(folder.path, folder.kind) for folder in folders_of(Root(path=tmp_path))]
    assert [(path.as_posix(), kind) for path, kind in found[:3]] == [
        ("/one", ModelKind.CHECKPOINT),
        ((tmp_path / "models" / "two").as_posix(), ModelKind.CHECKPOINT),
        ("/loras", ModelKind.LORA),
    ]
    assert (tmp_path / "models" / "checkpoints", ModelKind.CHECKPOINT) in found


def test_of_iopaints_cache_only_its_own_folders_are_looked_into(tmp_path):
    root = Root(path=make(tmp_path, "stable_diffusion", "something/else"))
    assert set(kinds(root)) == {"torch/hub/checkpoints", "stable_diffusion", "stable_diffusion_xl", "huggingface/hub"}


def test_huggingface_cache_is_found_from_above_it(tmp_path):
    write_repository(tmp_path / "hub", "org/name")
    assert list(folders_of(Root(path=tmp_path))) == [ModelFolder(path=tmp_path / "hub")]


def test_layout_can_be_said_instead(tmp_path):
    root = Root(path=make(tmp_path, "stable_diffusion"), layout=Layout.FOLDER)
    assert list(folders_of(root)) == [ModelFolder(path=tmp_path)]


def test_our_own_folders_hint_at_every_kind_that_has_one():
    own = (
        "checkpoints",
        "loras",
        "vae",
        "controlnet",
        "brushnet",
        "ip_adapter",
        "upscalers",
        "embeddings",
        "image_encoders",
        "vae_approx",
    )
    assert {HINTS[name] for name in own} == set(ModelKind) - {ModelKind.ERASER}
