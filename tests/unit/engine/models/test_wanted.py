import subprocess
import sys
import threading
import time

import pytest

from engine.library.library import Library, own_root
from engine.models.wanted import WantedModels
from protocol.errors import ErrorCode, ProtocolError
from protocol.models import ModelKind
from protocol.named_models import NamedModel
from protocol.requests import parse_job_request
from tests.unit.engine.library.model_files import CONTROLNET, IP_ADAPTER, LORA_SD1, SD1, VAE_FILE, write


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "checkpoints" / "dreams.safetensors", SD1)
    write(tmp_path / "loras" / "ink.safetensors", LORA_SD1)
    write(tmp_path / "vae" / "clear.safetensors", VAE_FILE)
    write(tmp_path / "controlnet" / "edges.safetensors", CONTROLNET)
    write(tmp_path / "ip_adapter" / "faces.safetensors", IP_ADAPTER)
    return tmp_path


@pytest.fixture
def wanted(folder):
    made = WantedModels(Library((own_root(folder),)))
    made.look(time.monotonic())
    return made


def params(task="text_to_image", **given):
    fields = {"prompt": "a cat", **given} if task != "load_model" else given
    return parse_job_request({"task": task, "params": fields}).params


def refusal(wanted, **given):
    with pytest.raises(ProtocolError) as caught:
        wanted.check(params(**given), "$.job")
    return caught.value


def test_a_request_whose_models_are_all_there_passes_by_any_of_their_names(wanted):
    everything = {
        "model": "checkpoints/dreams.safetensors",
        "vae": "Clear",
        "loras": [{"name": "ink [0123456789]"}],
        "controls": [{"model": "edges", "image": "upload:x"}],
        "image_prompts": [{"model": "faces", "image": "upload:x"}],
        "refiner": "dreams",
    }
    wanted.check(params(**everything))
    wanted.check(params(prompt="a cat <lora:ink:0.5>"))
    wanted.check(params("load_model", model="dreams"))


def test_a_lora_that_a_prompt_of_fooocus_names_may_be_missing(wanted):
    wanted.check(params(prompt="a cat <lora:inc:0.5>", prompt_syntax="fooocus"))
    error = refusal(wanted, prompt="a cat", prompt_syntax="fooocus", loras=[{"name": "inc"}])
    assert error.code is ErrorCode.MODEL_MISSING


@pytest.mark.parametrize(
    ("given", "place", "close"),
    [
        ({"model": "dream"}, "model", "dreams"),
        ({"vae": "claer"}, "vae", "clear"),
        ({"loras": [{"name": "ink"}, {"name": "inc"}]}, "loras[1].name", "ink"),
        ({"controls": [{"model": "edge", "image": "upload:x"}]}, "controls[0].model", "edges"),
        ({"image_prompts": [{"model": "face", "image": "upload:x"}]}, "image_prompts[0].model", "faces"),
        ({"refiner": "dreamz"}, "refiner", "dreams"),
        ({"prompt": "a cat <lora:inc:1>"}, "prompt", "ink"),
        ({"task": "load_model", "model": "dream"}, "model", "dreams"),
    ],
)
def test_one_that_is_not_there_is_refused_with_its_field_and_the_names_close_to_it(wanted, given, place, close):
    error = refusal(wanted, **given)
    assert (error.code, error.field) == (ErrorCode.MODEL_MISSING, f"$.job.params.{place}")
    assert error.message.endswith(f"close to it: {close!r}, at {error.field}")
    assert error.message.startswith(f"{place.partition('[')[0]}: ")


def test_one_of_another_kind_is_refused_and_its_kind_told(wanted):
    error = refusal(wanted, model="ink")
    assert (error.code, error.field) == (ErrorCode.MODEL_MISSING, "$.job.params.model")
    assert "'ink' is of the kind lora" in error.message


def test_a_damaged_one_is_refused_with_what_is_wrong_with_it(folder, wanted):
    (folder / "checkpoints" / "torn.safetensors").write_bytes(b"nothing")
    wanted.look(time.monotonic())
    error = refusal(wanted, model="torn")
    assert (error.code, error.field) == (ErrorCode.BAD_MODEL, "$.job.params.model")
    assert "cannot be used" in error.message


def test_a_name_that_means_several_is_refused(folder, wanted):
    for above in ("one", "two"):
        write(folder / "loras" / above / "same.safetensors", LORA_SD1)
    wanted.look(time.monotonic())
    error = refusal(wanted, loras=[{"name": "same"}])
    assert (error.code, error.field) == (ErrorCode.INVALID_PARAMS, "$.job.params.loras[0].name")


def test_a_request_that_names_no_model_is_refused_where_there_is_no_default(folder, tmp_path):
    library = Library((own_root(folder),))
    library.refresh()
    error = refusal(WantedModels(library, "gone"))
    assert (error.code, error.field) == (ErrorCode.MODEL_MISSING, "$.job.params.model")
    assert "'gone'" in error.message
    empty = Library((own_root(tmp_path / "empty"),))
    assert "no model to make pictures with" in refusal(WantedModels(empty)).message


def test_a_new_file_is_known_after_a_look_only(folder, wanted):
    write(folder / "vae" / "new.safetensors", VAE_FILE)
    assert refusal(wanted, vae="new").code is ErrorCode.MODEL_MISSING
    wanted.look(time.monotonic())
    wanted.check(params(vae="new"))


def test_a_file_that_has_gone_is_refused_before_and_after_a_look(folder, wanted):
    (folder / "vae" / "clear.safetensors").unlink()
    assert refusal(wanted, vae="clear").code is ErrorCode.MODEL_MISSING
    wanted.look(time.monotonic())
    assert refusal(wanted, vae="clear").code is ErrorCode.MODEL_MISSING


def test_many_who_ask_at_once_share_two_looks(folder, monkeypatch):
    library = Library((own_root(folder),))
    wanted = WantedModels(library)
    begun, release, looks = threading.Event(), threading.Event(), []

    def refresh():
        looks.append(time.monotonic())
        begun.set()
        assert release.wait(10)

    monkeypatch.setattr(library, "refresh", refresh)
    first = threading.Thread(target=wanted.look, args=(time.monotonic(),))
    first.start()
    assert begun.wait(10)
    asked_at = time.monotonic()
    others = [threading.Thread(target=wanted.look, args=(asked_at,)) for _ in range(5)]
    for other in others:
        other.start()
    release.set()
    for thread in (first, *others):
        thread.join(10)
    assert len(looks) == 2


def test_no_torch_is_imported():
    subprocess.run(
        [sys.executable, "-c", "import sys, engine.models.wanted; assert 'torch' not in sys.modules"], check=True
    )


@pytest.mark.parametrize(
    ("kind", "name", "is_there"),
    [
        (ModelKind.LORA, "ink.safetensors", True),
        (ModelKind.CHECKPOINT, "Dreams", True),
        (ModelKind.CHECKPOINT, "ink", False),
        (ModelKind.LORA, "chalk", False),
        (ModelKind.LORA, "twice", True),
    ],
)
def test_what_a_name_means_is_there_also_if_it_is_several(folder, kind, name, is_there):
    for place in ("a", "b"):
        write(folder / "loras" / place / "twice.safetensors", LORA_SD1)
    made = WantedModels(Library((own_root(folder),)))
    made.look(time.monotonic())
    assert made.has(NamedModel(kind, name, "somewhere")) is is_there


def test_a_model_whose_file_has_gone_is_not_there(wanted, folder):
    named = NamedModel(ModelKind.LORA, "ink", "loras")
    assert wanted.has(named)
    (folder / "loras" / "ink.safetensors").unlink()
    assert not wanted.has(named)
