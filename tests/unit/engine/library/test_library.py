import os
import threading
import time

import pytest
import structlog
import torch

from engine.interface import EngineError
from engine.library.headers import BadHeader
from engine.library.layouts import Root
from engine.library.library import Library, own_root
from engine.library.looks import UNKNOWN_PICKLE, UNKNOWN_TENSORS
from engine.library.records import Family, ModelKind
from engine.library.roots import make_library
from engine.models.catalogue import CATALOGUE
from tests.unit.engine.library import model_files
from tests.unit.engine.library.model_files import as_blobs, write, write_json, write_pipeline, write_repository


def library(*roots):
    made = Library([Root(path=root) for root in roots])
    made.refresh()
    return made


def own(path):
    made = Library([own_root(path)])
    made.refresh()
    return made


def listed(library):
    return {(model.kind, model.name) for model in library.models}


def only(library):
    (model,) = library.models
    return model


def write_pickle(path, state):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return path


# What is found, and where


def test_every_kind_is_found_in_our_own_models_folder(tmp_path):
    write(tmp_path / "checkpoints" / "sd.safetensors", model_files.SD1)
    write(tmp_path / "loras" / "style" / "ink.safetensors", model_files.LORA_SD1)
    write(tmp_path / "vae" / "mse.safetensors", model_files.VAE_FILE)
    write(tmp_path / "controlnet" / "canny.safetensors", model_files.CONTROLNET)
    write(tmp_path / "ip_adapter" / "plus.safetensors", model_files.IP_ADAPTER)
    write(tmp_path / "upscalers" / "x4.safetensors", model_files.UPSCALER)
    write(tmp_path / "embeddings" / "bad-hands.safetensors", model_files.EMBEDDING)
    write(tmp_path / "image_encoders" / "vit-h.safetensors", model_files.IMAGE_ENCODER)
    write(tmp_path / "loose.safetensors", model_files.SDXL)
    write_pipeline(tmp_path / "folder")
    assert listed(own(tmp_path)) == {
        (ModelKind.CHECKPOINT, "sd"),
        (ModelKind.CHECKPOINT, "loose"),
        (ModelKind.CHECKPOINT, "folder"),
        (ModelKind.LORA, "ink"),
        (ModelKind.VAE, "mse"),
        (ModelKind.CONTROLNET, "canny"),
        (ModelKind.IP_ADAPTER, "plus"),
        (ModelKind.UPSCALER, "x4"),
        (ModelKind.EMBEDDING, "bad-hands"),
        (ModelKind.IMAGE_ENCODER, "vit-h"),
    }


def test_record_says_what_a_listing_needs(tmp_path):
    path = write(tmp_path / "sdxl" / "dreams.safetensors", model_files.SDXL_INPAINT)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    model = only(own(tmp_path))
    assert (model.name, model.relative, model.path, model.source) == ("dreams", "sdxl/dreams", path, "models")
    assert (model.kind, model.family, model.problem) == (ModelKind.CHECKPOINT, Family.SDXL_INPAINT, None)
    assert (model.is_folder, model.is_pickle) == (False, False)
    assert (model.size_bytes, model.modified_at) == (path.stat().st_size, 1_700_000_000)


def test_size_of_a_folder_is_that_of_the_weights_a_loader_reads(tmp_path):
    folder = write_pipeline(tmp_path / "m")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(bytes(100_000))
    model = only(own(tmp_path))
    assert (model.is_folder, model.is_pickle, model.path) == (True, False, folder)
    assert model.size_bytes == sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def test_pulled_model_files_are_no_models_of_the_library(tmp_path):
    for model in CATALOGUE.values():
        for file in model.files:
            (tmp_path / file.name).write_bytes(b"PK\x03\x04")
    assert own(tmp_path).models == ()
    assert library(tmp_path).models != (), "the names alone keep them out"


def test_contents_count_before_the_folder_they_lie_in(tmp_path):
    write(tmp_path / "models" / "Stable-diffusion" / "ink.safetensors", model_files.LORA_SD1)
    assert only(library(tmp_path)).kind is ModelKind.LORA


@pytest.mark.parametrize(
    ("place", "state", "kind", "family"),
    [
        ("Lora/a.pt", {"x": torch.zeros(1)}, ModelKind.LORA, Family.UNKNOWN),
        ("ESRGAN/a.pth", {"params": {"odd": torch.zeros(1)}}, ModelKind.UPSCALER, Family.OTHER),
        ("Stable-diffusion/a.vae.pt", {"odd": torch.zeros(1)}, ModelKind.VAE, Family.UNKNOWN),
        ("Stable-diffusion/a.ckpt", {"odd": torch.zeros(1)}, ModelKind.CHECKPOINT, Family.UNKNOWN),
        ("ControlNet/a.bin", {"image_proj": {"w": torch.zeros(1)}, "ip_adapter": {}}, ModelKind.IP_ADAPTER, Family.SD1),
    ],
)
def test_pickle_is_told_by_its_names_or_its_folder(tmp_path, place, state, kind, family):
    (tmp_path / "models" / "Stable-diffusion").mkdir(parents=True)
    write_pickle(tmp_path / "models" / place, state)
    model = only(library(tmp_path))
    assert (model.kind, model.family, model.problem, model.is_pickle) == (kind, family, None, True)


def test_family_of_a_pickled_checkpoint_is_told_by_its_names_and_shapes(tmp_path):
    state = {name: torch.zeros(shape) for name, shape in model_files.SD2_INPAINT.items()}
    write_pickle(tmp_path / "checkpoints" / "a.ckpt", {"state_dict": state})
    model = only(own(tmp_path))
    assert (model.kind, model.family, model.problem) == (ModelKind.CHECKPOINT, Family.SD2_INPAINT, None)


def test_what_a_pickle_seems_to_lack_is_left_to_its_loader(tmp_path):
    state = {name: torch.zeros(shape) for name, shape in model_files.first(4).items()}
    write_pickle(tmp_path / "checkpoints" / "a.ckpt", {"state_dict": state})
    model = only(own(tmp_path))
    assert (model.kind, model.family, model.problem) == (ModelKind.CHECKPOINT, Family.SD1, None)


def test_pickle_that_nothing_tells_of_has_a_problem(tmp_path):
    write_pickle(tmp_path / "a.pt", {"odd": torch.zeros(1)})
    assert only(own(tmp_path)).problem == UNKNOWN_PICKLE


def test_safetensors_are_taken_before_a_pickle_of_the_same_stem(tmp_path):
    write(tmp_path / "checkpoints" / "a.safetensors", model_files.SD1)
    write_pickle(tmp_path / "checkpoints" / "a.ckpt", {"odd": torch.zeros(1)})
    assert not only(own(tmp_path)).is_pickle


def test_pickle_is_taken_where_the_safetensors_are_broken(tmp_path):
    path = write(tmp_path / "checkpoints" / "a.safetensors", model_files.SD1)
    path.write_bytes(path.read_bytes()[:-1])
    write_pickle(tmp_path / "checkpoints" / "a.ckpt", {"odd": torch.zeros(1)})
    assert only(own(tmp_path)).is_pickle


def test_folder_and_file_of_one_name_are_two_models(tmp_path):
    write(tmp_path / "a.safetensors", model_files.SD1)
    write_pipeline(tmp_path / "a")
    assert len(own(tmp_path).models) == 2


def test_parts_of_a_pipeline_are_not_listed_beside_it(tmp_path):
    folder = write_pipeline(tmp_path / "m")
    write(folder / "extra.safetensors", model_files.LORA_SD1)
    assert listed(own(tmp_path)) == {(ModelKind.CHECKPOINT, "m")}


def test_part_without_a_use_of_its_own_is_not_listed(tmp_path):
    write_json(tmp_path / "text_encoder" / "config.json", {"architectures": ["CLIPTextModel"]})
    write(tmp_path / "text_encoder" / "model.safetensors", {"text_model.x": (2,)})
    assert own(tmp_path).models == ()


def test_controlnet_folder_is_one_model(tmp_path):
    write_json(tmp_path / "canny" / "config.json", {"_class_name": "ControlNetModel"})
    write(tmp_path / "canny" / "diffusion_pytorch_model.safetensors", {"controlnet_cond_embedding.x": (2,)})
    assert listed(own(tmp_path)) == {(ModelKind.CONTROLNET, "canny")}


# Other programs' folders


def test_comfyui_models_are_found_where_its_settings_say(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    write(tmp_path / "ui" / "models" / "checkpoints" / "a.safetensors", model_files.SD1)
    write(elsewhere / "loras" / "ink.safetensors", model_files.LORA_SD1)
    (tmp_path / "ui" / "extra_model_paths.yaml").write_text(f"x:\n  base_path: {elsewhere}\n  loras: loras\n")
    found = library(tmp_path / "ui")
    assert listed(found) == {(ModelKind.CHECKPOINT, "a"), (ModelKind.LORA, "ink")}
    assert {model.source for model in found.models} == {"comfyui"}


def test_fooocus_models_are_found_where_its_settings_say(tmp_path):
    write(tmp_path / "elsewhere" / "xl.safetensors", model_files.SDXL)
    write_json(tmp_path / "ui" / "config.txt", {"path_checkpoints": str(tmp_path / "elsewhere")})
    assert listed(library(tmp_path / "ui")) == {(ModelKind.CHECKPOINT, "xl")}


def test_iopaint_folder_has_its_erasers_checkpoints_and_repositories(tmp_path):
    hub = tmp_path / "torch" / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    for name in ("big-lama.pt", "resnet50-0676ba61.pth"):
        (hub / name).write_bytes(b"PK\x03\x04")
    write(tmp_path / "stable_diffusion" / "a.safetensors", model_files.SD1_INPAINT)
    write_pipeline(write_repository(tmp_path / "huggingface" / "hub", "org/name"))
    write(tmp_path / "pip" / "b.safetensors", model_files.SD1)
    assert listed(library(tmp_path)) == {
        (ModelKind.ERASER, "big-lama"),
        (ModelKind.CHECKPOINT, "a"),
        (ModelKind.CHECKPOINT, "org/name"),
    }


@pytest.mark.parametrize("place", ["", "checkpoints", "sams"])
@pytest.mark.parametrize(
    "name", ["big-lama.pt", "sam_vit_b_01ec64.pth", "mobile_sam.pt", "sam2-hiera-tiny/model.safetensors"]
)
def test_published_files_of_other_uses_are_no_broken_checkpoints(tmp_path, place, name):
    write(tmp_path / place / name, {"odd": (1,)})
    write(tmp_path / "loras" / "ink.safetensors", model_files.LORA_SD1)
    found = make_library(tmp_path / "own", [tmp_path])
    found.refresh()
    assert {model.name for model in found.models if model.source != "embedded"} == {"ink"}
    assert listed(own(tmp_path)) == {(ModelKind.LORA, "ink")}


def test_repositories_of_other_uses_are_no_broken_checkpoints(tmp_path):
    for repository, name in (
        ("facebook/sam2-hiera-tiny", "model.safetensors"),
        ("lkeab/hq-sam", "sam_hq_vit_b.pth"),
        ("org/other", "sam_vit_b_01ec64.pth"),
        ("org/name", "ink.safetensors"),
    ):
        write(write_repository(tmp_path, repository) / name, model_files.LORA_SD1)
    found = make_library(tmp_path / "own", [tmp_path])
    found.refresh()
    assert {model.name for model in found.models if model.source != "embedded"} == {"org/name"}


def test_repository_is_one_model_by_its_own_name(tmp_path):
    snapshot = write_pipeline(write_repository(tmp_path, "stabilityai/sd-turbo"))
    as_blobs(snapshot)
    model = only(library(tmp_path))
    assert (model.name, model.path, model.problem) == ("stabilityai/sd-turbo", snapshot, None)
    assert model.source == "huggingface"


def test_files_of_a_repository_are_named_after_it(tmp_path):
    lora = write_repository(tmp_path, "org/lora")
    write(lora / "pytorch_lora_weights.safetensors", model_files.LORA_SD1)
    adapters = write_repository(tmp_path, "h94/IP-Adapter")
    write(adapters / "models" / "sd15.safetensors", model_files.IP_ADAPTER)
    write_json(
        adapters / "models" / "image_encoder" / "config.json", {"architectures": ["CLIPVisionModelWithProjection"]}
    )
    write(adapters / "models" / "image_encoder" / "model.safetensors", model_files.IMAGE_ENCODER)
    assert listed(library(tmp_path)) == {
        (ModelKind.LORA, "org/lora"),
        (ModelKind.IP_ADAPTER, "h94/IP-Adapter/models/sd15"),
        (ModelKind.IMAGE_ENCODER, "h94/IP-Adapter/models/image_encoder"),
    }


def test_snapshot_that_is_not_whole_is_passed_by_and_logged_once(tmp_path):
    snapshot = write_pipeline(write_repository(tmp_path, "org/name"))
    (snapshot / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    made = Library([Root(path=tmp_path)])
    with structlog.testing.capture_logs() as logs:
        made.refresh()
        made.refresh()
    assert made.models == ()
    assert [log["event"] for log in logs] == ["library.skipped"]
    write(snapshot / "unet" / "diffusion_pytorch_model.safetensors", {"x": (1,)})
    assert [model.name for model in made.refresh().added] == ["org/name"]


# Damage and malice


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_damaged_file_is_listed_with_its_problem(tmp_path, keep):
    path = write(tmp_path / "checkpoints" / "a.safetensors", model_files.SD1)
    path.write_bytes(path.read_bytes()[:keep])
    model = only(own(tmp_path))
    assert model.problem is not None
    assert str(tmp_path) not in model.problem
    assert (model.kind, model.family) == (ModelKind.CHECKPOINT, Family.UNKNOWN)


def test_file_of_unknown_tensors_is_listed_with_its_problem(tmp_path):
    write(tmp_path / "loras" / "a.safetensors", {"weight": (3,)})
    model = only(own(tmp_path))
    assert (model.kind, model.problem) == (ModelKind.LORA, UNKNOWN_TENSORS)


def test_upscaler_of_unknown_tensors_is_left_to_its_loader(tmp_path):
    write(tmp_path / "upscalers" / "a.safetensors", {"weight": (3,)})
    model = only(own(tmp_path))
    assert (model.kind, model.problem) == (ModelKind.UPSCALER, None)


def test_binary_of_another_program_is_no_model(tmp_path):
    (tmp_path / "network.bin").write_bytes(b"\0" * 100)
    assert own(tmp_path).models == ()


def test_rings_of_links_end(tmp_path):
    write(tmp_path / "loras" / "a.safetensors", model_files.LORA_SD1)
    (tmp_path / "loras" / "again").symlink_to(tmp_path)
    (tmp_path / "x").symlink_to(tmp_path / "y")
    (tmp_path / "y").symlink_to(tmp_path / "x")
    (tmp_path / "self.safetensors").symlink_to(tmp_path / "self.safetensors")
    (tmp_path / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    assert listed(own(tmp_path)) == {(ModelKind.LORA, "a")}


def test_links_to_models_elsewhere_are_followed(tmp_path):
    write(tmp_path / "disk" / "a.safetensors", model_files.SD1)
    write(tmp_path / "disk" / "more" / "b.safetensors", model_files.SD1)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "linked.safetensors").symlink_to(tmp_path / "disk" / "a.safetensors")
    (tmp_path / "own" / "more").symlink_to(tmp_path / "disk" / "more")
    assert listed(own(tmp_path / "own")) == {(ModelKind.CHECKPOINT, "linked"), (ModelKind.CHECKPOINT, "b")}


def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.safetensors")
    folder = write_pipeline(tmp_path / "m")
    (folder / "unet" / "config.json").unlink()
    os.mkfifo(folder / "unet" / "config.json")
    found = own(tmp_path)
    assert [(model.name, model.problem is None) for model in found.models] == [("m", False)]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_folder_and_file_that_may_not_be_read_are_no_error(tmp_path):
    write(tmp_path / "shut" / "a.safetensors", model_files.SD1)
    write(tmp_path / "b.safetensors", model_files.SD1).chmod(0)
    (tmp_path / "shut").chmod(0)
    try:
        model = only(own(tmp_path))
    finally:
        (tmp_path / "shut").chmod(0o755)
    assert (model.name, model.problem) == ("b", "it cannot be read: Permission denied")


def test_file_that_cannot_be_read_is_listed_with_its_problem(tmp_path, monkeypatch):
    write(tmp_path / "b.safetensors", model_files.SD1)

    def refused(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("engine.library.looks.read_header", refused)
    assert only(own(tmp_path)).problem == "it cannot be read: Permission denied"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (b"caf\xc3\xa9 \xe7\x8c\xab.safetensors", "café 猫"),
        (b"not \xff text.safetensors", "not \ufffd text"),
        (b"two\nlines\x1b[31m.safetensors", "two\ufffdlines\ufffd[31m"),
        (b"a.b.c.SAFETENSORS", "a.b.c"),
        (b" spaced .safetensors", " spaced "),
        (b"-rf *.safetensors", "-rf *"),
    ],
)
def test_odd_names_can_be_shown_sent_and_found(tmp_path, file, name):
    place = tmp_path / os.fsdecode(file)
    place.write_bytes(model_files.content(model_files.SD1))
    found = own(tmp_path)
    assert only(found).name == name
    assert name.encode()
    assert found.find(name, ModelKind.CHECKPOINT).path == place


def test_hidden_and_unfinished_files_are_passed_by(tmp_path):
    write(tmp_path / ".a.safetensors", model_files.SD1)
    write(tmp_path / ".cache" / "b.safetensors", model_files.SD1)
    write(tmp_path / "c.safetensors.part", model_files.SD1)
    assert own(tmp_path).models == ()


def test_too_many_entries_are_left_alone_and_logged(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.library.walk._MAX_ENTRIES", 3)
    write(tmp_path / "a.safetensors", model_files.SD1)
    for number in range(4):
        write(tmp_path / "many" / f"{number}.safetensors", model_files.SD1)
    with structlog.testing.capture_logs() as logs:
        assert listed(own(tmp_path)) == {(ModelKind.CHECKPOINT, "a")}
    assert "library.skipped" in {log["event"] for log in logs}


def test_folder_that_is_not_there_holds_nothing(tmp_path):
    assert library(tmp_path / "gone").models == ()


# Looking again


def test_new_files_are_seen_without_a_restart(tmp_path):
    found = own(tmp_path)
    write(tmp_path / "loras" / "a.safetensors", model_files.LORA_SD1)
    changes = found.refresh()
    assert [model.name for model in changes.added] == ["a"]
    assert changes.removed == ()
    (tmp_path / "loras" / "a.safetensors").unlink()
    changes = found.refresh()
    assert (changes.added, [model.name for model in changes.removed]) == ((), ["a"])
    assert found.refresh().added == found.refresh().removed == ()


def test_replaced_file_is_removed_and_added(tmp_path):
    write(tmp_path / "a.safetensors", model_files.SD1)
    found = own(tmp_path)
    write(tmp_path / "a.safetensors", model_files.SDXL)
    changes = found.refresh()
    assert [model.family for model in changes.removed] == [Family.SD1]
    assert [model.family for model in changes.added] == [Family.SDXL]


def test_file_that_is_still_copied_is_whole_once_it_is(tmp_path):
    content = model_files.content(model_files.SD1)
    (tmp_path / "a.safetensors").write_bytes(content[:-10])
    found = own(tmp_path)
    assert only(found).problem is not None
    (tmp_path / "a.safetensors").write_bytes(content)
    found.refresh()
    assert only(found).problem is None


def test_change_deep_in_a_folder_is_seen(tmp_path):
    folder = write_pipeline(tmp_path / "m")
    found = own(tmp_path)
    write_json(folder / "unet" / "config.json", {"in_channels": 9, "cross_attention_dim": 768})
    found.refresh()
    assert only(found).family is Family.SD1_INPAINT


def test_unchanged_files_are_not_read_again(tmp_path, monkeypatch):
    write(tmp_path / "a.safetensors", model_files.SD1)
    write_pipeline(tmp_path / "m")
    found = own(tmp_path)

    def refused(*arguments):
        raise AssertionError("it was read again")

    monkeypatch.setattr("engine.library.looks.read_header", refused)
    monkeypatch.setattr("engine.library.looks.look_into", refused)
    assert found.refresh().added == ()
    write(tmp_path / "b.safetensors", model_files.SD1)
    with pytest.raises(AssertionError):
        found.refresh()


def test_roots_that_overlap_list_a_model_once(tmp_path):
    write(tmp_path / "loras" / "a.safetensors", model_files.LORA_SD1)
    found = Library([own_root(tmp_path), Root(path=tmp_path / "loras"), Root(path=tmp_path)])
    found.refresh()
    assert only(found).source == "models"


@pytest.mark.alone
def test_two_thousand_files_are_looked_over_again_within_two_seconds(tmp_path):
    content = model_files.content(model_files.LORA_SD1)
    for folder in range(20):
        (tmp_path / f"loras{folder}").mkdir()
        for number in range(100):
            (tmp_path / f"loras{folder}" / f"{folder}-{number}.safetensors").write_bytes(content)
    found = own(tmp_path)
    assert len(found.models) == 2000
    started = time.perf_counter()
    found.refresh()
    assert time.perf_counter() - started < 2


def test_readers_see_whole_listings_while_the_disk_is_looked_at(tmp_path):
    for number in range(20):
        write(tmp_path / f"{number}.safetensors", model_files.SD1)
    found = own(tmp_path)
    is_over = threading.Event()
    failures = []

    def read():
        while not is_over.is_set():
            if len(found.models) not in {20, 21} or found.find("7", ModelKind.CHECKPOINT).name != "7":
                failures.append(len(found.models))

    def scan():
        for _ in range(20):
            found.refresh()

    threads = [threading.Thread(target=read), *(threading.Thread(target=scan) for _ in range(3))]
    for thread in threads:
        thread.start()
    for _ in range(10):
        write(tmp_path / "extra.safetensors", {"a": (1,)}).unlink()
    for thread in threads[1:]:
        thread.join()
    is_over.set()
    threads[0].join()
    assert failures == []


def test_empty_library_says_that_it_is(tmp_path):
    with pytest.raises(EngineError, match="holds none"):
        Library([own_root(tmp_path)]).find("a", ModelKind.CHECKPOINT)


def test_damage_never_gets_out_of_a_refresh(tmp_path, monkeypatch):
    write(tmp_path / "a.safetensors", model_files.SD1)

    def damaged(path):
        raise BadHeader("it is")

    monkeypatch.setattr("engine.library.looks.read_header", damaged)
    assert only(own(tmp_path)).problem == "it is"
