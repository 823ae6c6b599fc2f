import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnxruntime
import pytest
import torch

from engine.diffusion import previews
from engine.diffusion.latent_factors import fit_pictures
from engine.interface import DONE, EngineError
from engine.torch_backend import TorchBackend
from protocol.errors import ErrorCode
from protocol.requests import TASKS, TaskName
from tests.tiny_models import make_sd1
from tests.unit.engine.driver import Driver, make_run
from tests.unit.engine.pictures import save, texture


@pytest.fixture
def backend(tmp_path):
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    backend = TorchBackend(tmp_path, device="cpu", threads=2)
    assert backend.load() == "cpu"
    yield backend
    backend.close()
    torch.set_num_threads(threads)
    torch.set_grad_enabled(gradients)


def test_importing_the_backend_and_the_tasks_loads_no_torch():
    program = """
import sys
import engine.torch_backend
import engine.tasks.upscale, engine.tasks.segment, engine.tasks.remove_background, engine.tasks.describe
import engine.models.pull, engine.models.residency
assert not {"torch", "onnxruntime", "cv2"} & set(sys.modules), set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_gradients_are_off_once_it_is_loaded(backend):
    assert not torch.is_grad_enabled()
    assert torch.get_num_threads() == 2


def test_threads_of_the_side_pool_take_one_core_each_and_leave_the_device_thread_its_own(backend):
    # Threads of their own: what a thread of the test has asked before would hide whose number it takes over.
    with ThreadPoolExecutor(1) as device_thread, ThreadPoolExecutor(1) as pool_thread:
        device_thread.submit(backend.load).result()
        pool_thread.submit(backend.prepare_pool_thread).result()
        assert device_thread.submit(_cores_of_a_calculation).result() == 2
        assert pool_thread.submit(_cores_of_a_calculation).result() == 1


def _cores_of_a_calculation():
    torch.ones(1 << 18).sin()
    return torch.get_num_threads()


def test_every_task_can_be_opened(backend):
    for task in TaskName:
        fields = {
            TaskName.ERASE: {"regions": [{"x": 0, "y": 0, "width": 4, "height": 4}]},
            TaskName.SEGMENT: {"points": [{"x": 1.0, "y": 1.0}]},
            TaskName.ADJUST_MASK: {"operation": "expand"},
            TaskName.TEXT_TO_IMAGE: {"prompt": "a cat"},
            TaskName.IMAGE_TO_IMAGE: {"prompt": "a cat"},
            TaskName.INPAINT: {"prompt": "a cat", "regions": [{"x": 0, "y": 0, "width": 4, "height": 4}]},
            TaskName.OUTPAINT: {"prompt": "a cat", "left": 8},
            TaskName.ENHANCE: {"prompt": "a cat", "enhance": {"regions": [{"subject": "auto"}]}},
            TaskName.LOAD_MODEL: {"model": "spark"},
        }.get(task, {})
        if TASKS[task].image_fields:
            fields[TASKS[task].image_fields[0]] = "upload:x"
        run = make_run(task, fields, inputs=dict.fromkeys(TASKS[task].image_fields, Path("x")))
        assert backend.open(run, Driver(run)) is not None


def test_a_job_whose_model_is_missing_says_which_command_fetches_it(backend, tmp_path):
    run = make_run(TaskName.UPSCALE, {}, inputs={"image": save(tmp_path / "in.png", texture())})
    job = backend.open(run, Driver(run))
    read = job.resume()
    with pytest.raises(EngineError, match="run `safelight models pull compact`") as missing:
        job.resume(read.run())
    assert missing.value.code is ErrorCode.MODEL_MISSING


def run_through(backend, task, fields):
    run = make_run(task, fields)
    driver = Driver(run)
    job = backend.open(run, driver)
    call = job.resume()
    while call is not DONE:
        call = job.resume(call.run())
    return driver


def test_a_model_is_loaded_by_a_job_and_leaves_when_asked_or_idle(tmp_path):
    make_sd1().save_pretrained(tmp_path / "tiny")
    told = []
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    backend = TorchBackend(tmp_path, told.append, device="cpu", threads=2)
    assert backend.memory().names == ()
    backend.load()
    try:
        for leave in (lambda: backend.unload_model("checkpoint:tiny", "asked"), lambda: backend.rest(-1.0)):
            run_through(backend, TaskName.LOAD_MODEL, {"model": "tiny"})
            assert backend.memory().names == ("checkpoint:tiny",)
            backend.unload_model("checkpoint:other", "asked")
            backend.rest(3600)
            assert backend.memory().names == ("checkpoint:tiny",)
            leave()
            assert backend.memory().names == ()
    finally:
        backend.close()
        torch.set_num_threads(threads)
        torch.set_grad_enabled(gradients)
    assert [body.TYPE for body in told] == ["model.loading", "model.loaded", "model.unloaded"] * 2


def test_what_previews_are_made_with_is_fitted_once_and_kept_with_the_models(tmp_path, monkeypatch):
    make_sd1().save_pretrained(tmp_path / "tiny")
    fitted = []
    monkeypatch.setattr(previews, "fit_pictures", lambda *args: fitted.append(args) or fit_pictures(*args))
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    try:
        for start in range(2):
            backend = TorchBackend(tmp_path, device="cpu", threads=2)
            backend.load()
            run_through(backend, TaskName.LOAD_MODEL, {"model": "tiny"})
            backend.close()
            (kept,) = (tmp_path / "previews").iterdir()
            assert kept.suffix == ".json", start
            assert len(fitted) == 1
    finally:
        torch.set_num_threads(threads)
        torch.set_grad_enabled(gradients)


def test_a_test_pattern_needs_no_model(backend):
    run = make_run(TaskName.TEST_PATTERN, {"steps": 2, "width": 16, "height": 16})
    driver = Driver(run)
    job = backend.open(run, driver)
    call = job.resume()
    while call is not DONE:
        call = job.resume(call.run())
    assert list(driver.outputs) == [0]


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException("Failed to allocate memory for buffer"), True),
        (onnxruntime.capi.onnxruntime_pybind11_state.Fail("bad allocation"), True),
        (RuntimeError("expected scalar type Half but found Float"), False),
        (ValueError("out of memory"), False),
        (OSError("disk full"), False),
    ],
)
def test_running_out_of_memory_is_told_from_other_errors(backend, error, is_memory):
    assert backend.is_out_of_memory(error) is is_memory


def test_a_real_allocation_that_is_too_large_is_recognised(backend):
    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 50)
    assert backend.is_out_of_memory(refused.value)


def test_memory_can_be_freed_at_any_time(backend, tmp_path):
    backend.free_memory()
    TorchBackend(tmp_path).free_memory()


def test_a_device_that_is_not_there_is_refused_while_loading(tmp_path):
    if torch.cuda.device_count() > 7:
        pytest.skip("this machine has that many devices")
    with pytest.raises((RuntimeError, AssertionError)):
        TorchBackend(tmp_path, device="cuda:7").load()


def test_missing_libraries_are_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineError, match=r"not all installed .*onnxruntime"):
        TorchBackend(tmp_path, device="cpu").load()
