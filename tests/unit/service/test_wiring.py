from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from engine.backend import Backend
from engine.prompting.expand import make_wordsmith
from service.bridge import Announcer
from service.engine_wiring import _backend, make_library_of
from service.settings import SettingsError, load
from service.wanted_files import WantedFiles


def test_the_engine_calculates_where_and_on_as_many_cores_as_the_settings_say(tmp_path: Path) -> None:
    settings = load(overrides={"device": "cpu", "cpu_threads": 3, "models_dir": tmp_path, "data_dir": tmp_path})
    wordsmith = make_wordsmith(tmp_path)
    backend = _backend(settings, make_library_of(settings), wordsmith, Announcer(), WantedFiles(settings, Announcer()))

    def cores_of(backend: Backend) -> tuple[str, int]:
        return backend.load(), torch.get_num_threads()

    # A thread of its own: how many cores it takes, and that gradients are off there, ends with it.
    with ThreadPoolExecutor(1) as device_thread:
        assert device_thread.submit(cores_of, backend).result() == ("cpu", 3)


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CPU", ""])
def test_a_device_that_is_none_is_refused_before_anything_starts(device: str) -> None:
    with pytest.raises(SettingsError, match="device"):
        load(overrides={"device": device})
