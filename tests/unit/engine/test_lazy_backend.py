"""Of `engine.lazy_backend`."""

import threading

from engine.fake import FakeBackend
from engine.interface.engine import ModelMemory
from engine.lazy_backend import LazyBackend


def test_the_backend_is_made_when_it_is_loaded_and_works_like_itself() -> None:
    made_on: list[str] = []

    def make() -> FakeBackend:
        made_on.append(threading.current_thread().name)
        return FakeBackend()

    lazy = LazyBackend(make)
    assert made_on == []
    assert lazy.memory() == ModelMemory()
    assert lazy.load() == "fake"
    assert made_on == [threading.current_thread().name]
    assert lazy.budget_bytes() == FakeBackend().budget_bytes()
    assert lazy.is_out_of_memory(MemoryError())
    lazy.free_memory()
    lazy.unload_model("checkpoint:fake", "asked")
    lazy.rest(1.0)
    lazy.close()
