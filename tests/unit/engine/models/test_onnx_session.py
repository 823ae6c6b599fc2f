from types import SimpleNamespace

import onnxruntime
import pytest
from structlog.testing import capture_logs

from engine.models.onnx_session import open_session


@pytest.fixture
def library(monkeypatch):
    """An onnxruntime that has CUDA, whose sessions are made of what they were asked for."""
    asked = SimpleNamespace(providers=None, loadable=["CUDAExecutionProvider", "CPUExecutionProvider"])

    def make(source, options, providers):
        asked.providers = providers
        names = [each if isinstance(each, str) else each[0] for each in providers]
        return SimpleNamespace(get_providers=lambda: [name for name in names if name in asked.loadable])

    has = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: has)
    monkeypatch.setattr(onnxruntime, "InferenceSession", make)
    return asked


@pytest.mark.parametrize(("device", "number"), [("cuda:1", "1"), ("cuda:0", "0"), ("cuda", "0")])
def test_a_model_runs_on_the_gpu_that_torch_uses(library, device, number):
    with capture_logs() as logs:
        open_session(b"", device)
    (cuda, options), cpu = library.providers
    assert (cuda, cpu, options["device_id"]) == ("CUDAExecutionProvider", "CPUExecutionProvider", number)
    assert logs == []


def test_on_the_cpu_no_gpu_is_touched(library):
    open_session(b"", "cpu")
    assert library.providers == ["CPUExecutionProvider"]


def test_a_gpu_that_onnxruntime_cannot_load_is_told_of(library):
    library.loadable = ["CPUExecutionProvider"]
    with capture_logs() as logs:
        open_session(b"", "cuda:0")
    assert [log["event"] for log in logs] == ["onnx.runs_on_cpu"]


def test_an_onnxruntime_without_cuda_runs_on_the_cpu_and_says_so(library, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with capture_logs() as logs:
        open_session(b"", "cuda:0")
    assert library.providers == ["CPUExecutionProvider"]
    assert [log["event"] for log in logs] == ["onnx.runs_on_cpu"]
