"""What is different on a GPU, as far as it can be seen without one: torch's CUDA functions are stand-ins here."""

import weakref
from types import SimpleNamespace

import pytest
import torch

from engine import device as device_module
from engine.device import Device, find_device
from engine.interface import Call, OutOfMemory
from engine.memory import default_budget_bytes
from engine.torch_backend import TorchBackend
from protocol.requests import TaskName
from tests.unit.engine.driver import Driver
from tests.unit.engine.driver import make_run as make_task_run
from tests.unit.engine.workbench import Bench, TinyBackend, bench

GIB = 1 << 30


@pytest.fixture
def gpu(monkeypatch):
    """CUDA with a second GPU, 6 GiB of it free; attribute `asked` lists what was asked of it.

    Its tensors lie on the CPU.
    """
    card = SimpleNamespace(asked=[], free_bytes=6 * GIB, error=None)

    def wait(_device):
        card.asked.append("wait")
        if card.error is not None:
            raise card.error

    zeros, ones = torch.zeros, torch.ones
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: card.asked.append(f"set {device}"))
    monkeypatch.setattr(torch.cuda, "synchronize", wait)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: card.asked.append("empty"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (card.free_bytes, 8 * GIB))
    placed = SimpleNamespace(device=torch.device("cuda", 1))
    monkeypatch.setattr(
        torch,
        "zeros",
        lambda *size, device=None, **more: (
            placed if torch.device(device or "cpu").type == "cuda" else zeros(*size, **more)
        ),
    )
    monkeypatch.setattr(torch, "ones", lambda *size, device=None, **more: ones(*size, **more))
    return card


def test_a_gpu_goes_by_its_number_even_if_none_was_named(gpu):
    assert find_device("cuda").name == "cuda:1"
    assert find_device().name == "cuda:1"


def test_a_gpu_is_made_the_threads_own_and_tried_out(gpu):
    find_device("cuda:1")
    assert gpu.asked == ["set cuda:1", "wait"]


def test_a_gpu_that_torch_has_no_kernels_for_is_refused_at_the_start(gpu):
    gpu.error = RuntimeError("CUDA error: no kernel image is available for execution on the device")
    with pytest.raises(RuntimeError, match="no kernel image"):
        find_device()


def test_the_cpu_is_never_waited_for():
    device = find_device("cpu")
    assert (device.name, device.is_cuda) == ("cpu", False)
    device.wait()
    device.free_caches()
    assert device.budget_bytes() == default_budget_bytes()


@pytest.mark.parametrize(
    ("free_bytes", "machine_bytes", "budget_bytes"), [(6 * GIB, 8 * GIB, 3 * GIB), (100 * GIB, 8 * GIB, 8 * GIB)]
)
def test_the_budget_on_a_gpu_fits_both_memories(gpu, monkeypatch, free_bytes, machine_bytes, budget_bytes):
    gpu.free_bytes = free_bytes
    monkeypatch.setattr(device_module, "default_budget_bytes", lambda: machine_bytes)
    assert Device(torch.device("cuda", 1)).budget_bytes() == budget_bytes


@pytest.fixture
def backend(gpu, tmp_path):
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    backend = TorchBackend(tmp_path, threads=2)
    assert backend.load() == "cuda:1"
    gpu.asked.clear()
    yield backend
    backend.close()
    torch.set_num_threads(threads)
    torch.set_grad_enabled(gradients)


def test_the_backend_takes_its_budget_from_the_gpu(backend):
    assert backend.budget_bytes() <= 3 * GIB


def test_the_backend_gives_a_gpus_caches_back_when_asked_and_at_the_end(backend, gpu):
    backend.free_memory()
    assert gpu.asked == ["empty"]
    backend.close()
    assert gpu.asked == ["empty", "empty"]


def test_a_device_call_on_a_gpu_comes_back_when_its_work_is_done(backend, gpu):
    run = make_task_run(TaskName.TEST_PATTERN, {"steps": 1, "width": 16, "height": 16})
    call = backend.open(run, Driver(run)).resume()
    assert gpu.asked == []
    call.run()
    assert gpu.asked == ["wait"]


def test_what_goes_wrong_on_a_gpu_belongs_to_the_call_that_asked_for_it(backend, gpu):
    run = make_task_run(TaskName.TEST_PATTERN, {"steps": 1, "width": 16, "height": 16})
    call = backend.open(run, Driver(run)).resume()
    gpu.error = RuntimeError("CUDA error: out of memory")
    with pytest.raises(RuntimeError, match="out of memory") as raised:
        call.run()
    assert backend.is_out_of_memory(raised.value)


# ---- what the executor makes of it -----------------------------------------------------------------------------


def test_a_budget_that_nobody_set_is_the_backends():
    with bench(TinyBackend(budget=123)) as table:
        assert table.executor.state().budget_bytes == 123


def test_a_budget_that_was_set_counts_more_than_the_backends():
    with bench(TinyBackend(budget=123), budget_bytes=456) as table:
        assert table.executor.state().budget_bytes == 456


class Activation:
    """Stands for a tensor."""


@pytest.mark.parametrize("ends_well", [True, False])
def test_what_a_failed_call_had_in_hand_is_let_go_of_before_caches_are_freed(ends_well):
    made, alive = [], []
    backend = TinyBackend()
    backend.free_memory = lambda: alive.append([one() is not None for one in made])
    with bench(backend) as table:
        submit_hungry(table, made, ends_well)
        table.sink.wait_end("a")
    assert alive == ([[False]] if ends_well else [[False], [False, False]])
    assert table.sink.types("a")[-1] == ("job.succeeded" if ends_well else "job.failed")


def submit_hungry(table: Bench, made: list, ends_well: bool) -> None:
    def hungry():
        activation = Activation()
        made.append(weakref.ref(activation))
        raise MemoryError

    def task(_run, _context):
        try:
            yield Call(hungry)
        except OutOfMemory:
            yield Call(lambda: None if ends_well else hungry())

    table.submit("a", task)
