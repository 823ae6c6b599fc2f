import hashlib
import json
import os
import threading

import pytest
import structlog

from engine.library.folders import BadFolder
from engine.library.hashes import HashCache
from engine.library.library import Library, own_root
from tests.unit.engine.library import model_files
from tests.unit.engine.library.model_files import write, write_json, write_pipeline


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def cache_dir(tmp_path):
    return tmp_path / "cache"


def found_in(models):
    library = Library([own_root(models)])
    library.refresh()
    (model,) = library.models
    return model


def no_reading(files):
    raise AssertionError("it was read again")


def test_hash_is_that_of_the_whole_file(models, cache_dir):
    path = write(models / "a.safetensors", {**model_files.SD1, "much": (3_000_000,)})
    sha256 = HashCache(cache_dir).sha256(found_in(models))
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_hash_that_another_cache_on_the_same_file_computed_is_known(models, cache_dir, monkeypatch):
    write(models / "a.safetensors", model_files.SD1)
    one, other = HashCache(cache_dir), HashCache(cache_dir)
    assert other.known(found_in(models)) is None
    sha256 = one.sha256(found_in(models))
    monkeypatch.setattr("engine.library.hashes._digest", no_reading)
    assert other.sha256(found_in(models)) == sha256


def test_caches_on_the_same_file_keep_each_others_hashes(tmp_path, cache_dir):
    one, other = HashCache(cache_dir), HashCache(cache_dir)
    for cache, name in ((one, "a"), (other, "b"), (one, "c")):
        (tmp_path / name).mkdir()
        write(tmp_path / name / f"{name}.safetensors", {**model_files.SD1, name: (3,)})
        cache.sha256(found_in(tmp_path / name))
    assert len(json.loads((cache_dir / "hashes.json").read_text())) == 3


def test_hash_of_a_folder_is_that_of_its_denoiser(models, cache_dir):
    folder = write_pipeline(models / "m")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    assert HashCache(cache_dir).sha256(found_in(models)) == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_hash_of_weights_in_pieces_is_that_of_all_of_them(models, cache_dir):
    folder = write_pipeline(models / "m")
    unet = folder / "unet"
    (unet / "diffusion_pytorch_model.safetensors").unlink()
    names = [f"diffusion_pytorch_model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    write_json(unet / "diffusion_pytorch_model.safetensors.index.json", {"weight_map": {"b": names[1], "a": names[0]}})
    pieces = [write(unet / name, {name[-1]: (1,)}).read_bytes() for name in names]
    assert HashCache(cache_dir).sha256(found_in(models)) == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_hash_is_known_after_a_restart_without_reading(models, cache_dir, monkeypatch):
    write(models / "a.safetensors", model_files.SD1)
    model = found_in(models)
    assert HashCache(cache_dir).known(model) is None
    sha256 = HashCache(cache_dir).sha256(model)
    monkeypatch.setattr("engine.library.hashes._digest", no_reading)
    again = HashCache(cache_dir)
    assert again.known(model) == again.sha256(model) == sha256


def test_changed_file_is_read_again(models, cache_dir):
    path = write(models / "a.safetensors", model_files.SD1)
    cache = HashCache(cache_dir)
    before = cache.sha256(found_in(models))
    stat = path.stat()
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert cache.known(found_in(models)) is None
    assert cache.sha256(found_in(models)) != before
    assert len(json.loads((cache_dir / "hashes.json").read_text())) == 1


def test_file_that_is_written_to_meanwhile_is_not_remembered(models, cache_dir, monkeypatch):
    path = write(models / "a.safetensors", model_files.SD1)
    model = found_in(models)

    def slow(files):
        path.write_bytes(b"other")
        return "0" * 64

    cache = HashCache(cache_dir)
    with monkeypatch.context() as patched:
        patched.setattr("engine.library.hashes._digest", slow)
        cache.sha256(model)
    assert cache.known(model) is None
    assert cache.sha256(model) == hashlib.sha256(b"other").hexdigest()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"a": 3, "b": {"stamp": 1}}', "[" * 100_000])
def test_damaged_cache_costs_time_only(models, cache_dir, text):
    write(models / "a.safetensors", model_files.SD1)
    cache_dir.mkdir()
    (cache_dir / "hashes.json").write_text(text)
    model = found_in(models)
    with structlog.testing.capture_logs():
        sha256 = HashCache(cache_dir).sha256(model)
    assert HashCache(cache_dir).known(model) == sha256


def test_cache_that_cannot_be_written_still_answers(models, cache_dir):
    write(models / "a.safetensors", model_files.SD1)
    cache_dir.write_text("in the way")
    cache = HashCache(cache_dir)
    with structlog.testing.capture_logs() as logs:
        sha256 = cache.sha256(found_in(models))
    assert "library.hashes_not_written" in {log["event"] for log in logs}
    assert cache.known(found_in(models)) == sha256


def test_nothing_is_left_beside_the_cache(models, cache_dir):
    write(models / "a.safetensors", model_files.SD1)
    HashCache(cache_dir).sha256(found_in(models))
    assert [path.name for path in cache_dir.iterdir()] == ["hashes.json"]


def test_threads_that_ask_at_once_read_the_file_once(models, cache_dir, monkeypatch):
    write(models / "a.safetensors", model_files.SD1)
    model = found_in(models)
    begun, goes_on = threading.Semaphore(0), threading.Event()

    def slow(files):
        begun.release()
        goes_on.wait(10)
        return "0" * 64

    monkeypatch.setattr("engine.library.hashes._digest", slow)
    cache = HashCache(cache_dir)
    threads = [threading.Thread(target=cache.sha256, args=(model,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert begun.acquire(timeout=10)
    assert cache.known(model) is None, "who only wants to know does not wait"
    assert not begun.acquire(timeout=0.2)
    goes_on.set()
    for thread in threads:
        thread.join()
    assert not begun.acquire(blocking=False)


def test_file_that_is_gone_is_an_error_and_not_known(models, cache_dir):
    path = write(models / "a.safetensors", model_files.SD1)
    model = found_in(models)
    cache = HashCache(cache_dir)
    cache.sha256(model)
    path.unlink()
    assert cache.known(model) is None
    with pytest.raises(FileNotFoundError):
        cache.sha256(model)


def test_folder_without_weights_is_an_error_and_not_known(models, cache_dir):
    folder = write_pipeline(models / "m")
    model = found_in(models)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    assert HashCache(cache_dir).known(model) is None
    with pytest.raises(BadFolder):
        HashCache(cache_dir).sha256(model)
