import pytest

from protocol.events import (
    Event,
    EventBody,
    ModelAdded,
    ModelFailed,
    ModelLoaded,
    ModelLoading,
    ModelUnloaded,
    ServerDraining,
)
from service.model_loads import ModelLoads


def told(loads: ModelLoads, *bodies: EventBody) -> None:
    for n, body in enumerate(bodies, 1):
        loads.published(Event(body, at="", n=n), None)


def loading(model: str, done: int = 0) -> ModelLoading:
    return ModelLoading(model=model, phase="read", done=done, total=10)


def test_the_newest_word_of_each_model_on_its_way_is_kept() -> None:
    loads = ModelLoads()
    told(loads, loading("a"), loading("b"), loading("a", 5), ServerDraining())
    assert loads.loading == (loading("a", 5), loading("b"))


@pytest.mark.parametrize(
    "end",
    [
        ModelLoaded(model="a", device="cpu"),
        ModelUnloaded(model="a", reason="its loading was given up"),
        ModelAdded(model="a", size_bytes=10),
        ModelFailed(model="a", reason="cancelled by a client"),
    ],
    ids=lambda body: body.TYPE,
)
def test_a_model_whose_way_has_ended_is_on_its_way_no_more(end: EventBody) -> None:
    loads = ModelLoads()
    told(loads, loading("a"), loading("b"), end)
    assert loads.loading == (loading("b"),)
