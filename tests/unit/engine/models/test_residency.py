import threading
from dataclasses import replace

import pytest

from engine.interface import Call, EngineError, OutOfMemory, Where
from engine.interface.engine import ModelMemory, ResidentModel
from engine.models import catalogue, files
from engine.models.catalogue import CATALOGUE
from engine.models.residency import Residency
from engine.models.resident import Key
from protocol.errors import ErrorCode
from protocol.events import ModelLoaded, ModelLoading, ModelUnloaded
from tests.servers import DEADLINE_S


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with three models of 100 bytes: a, b and c."""
    models = {}
    for name in "abc":
        file = replace(CATALOGUE["u2netp"].files[0], name=f"{name}.onnx", size_bytes=100)
        models[name] = replace(CATALOGUE["u2netp"], name=name, files=(file,))
        (tmp_path / file.name).write_bytes(bytes(100))
    monkeypatch.setattr(catalogue, "CATALOGUE", models)
    monkeypatch.setattr(files, "CATALOGUE", models)
    return tmp_path


class Loader:
    def __init__(self):
        self.loaded = []

    def __call__(self, path, device):
        self.loaded.append((path.name, device))
        return f"network of {path.name}"


def end_of(steps):
    """What the steps return, now that what they waited for is done."""
    with pytest.raises(StopIteration) as end:
        steps.send(None)
    return end.value.value


def network(residency, name):
    """Of a model that is in memory."""
    made, stages = used(residency, name, Loader())
    assert stages == []
    return made


def used(residency, name, load):
    """What `use` returns, and the stages of the calls it made."""
    stages, value = [], None
    steps = residency.use(name, load)
    while True:
        try:
            call = steps.send(value)
        except StopIteration as end:
            return end.value, stages
        stages.append((call.stage, call.where.value))
        try:
            value = call.run()
        except Exception as error:
            steps.throw(error)
            raise


def test_a_network_is_loaded_once_on_the_device(folder):
    load, residency = Loader(), Residency(folder, "cuda:1")
    assert used(residency, "a", load) == ("network of a.onnx", [("load", "device")])
    assert used(residency, "a", load) == ("network of a.onnx", [])
    assert load.loaded == [("a.onnx", "cuda:1")]


def test_two_jobs_that_wait_for_one_network_share_it(folder):
    load, residency = Loader(), Residency(folder, "cpu")
    first, second = residency.use("a", load), residency.use("a", load)
    for call in (next(first), next(second)):
        call.run()
    assert [end_of(steps) for steps in (first, second)] == ["network of a.onnx"] * 2
    assert len(load.loaded) == 1


def test_the_least_recently_used_goes_when_room_is_needed(folder):
    told, load = [], Loader()
    residency = Residency(folder, "cpu", told.append, budget_bytes=250)
    for name in ("a", "b", "a", "c"):
        used(residency, name, load)
    assert residency.names == ("a", "c")
    assert [body.model for body in told if isinstance(body, ModelUnloaded)] == ["b"]


def test_a_network_larger_than_the_budget_is_loaded_alone(folder):
    residency = Residency(folder, "cpu", budget_bytes=50)
    used(residency, "a", Loader())
    used(residency, "b", Loader())
    assert residency.names == ("b",)


def test_loading_and_dropping_are_told(folder):
    told = []
    residency = Residency(folder, "cpu", told.append)
    used(residency, "a", Loader())
    residency.clear("a job ran out of memory")
    assert told == [
        ModelLoading(model="a", phase="device", done=0, total=100),
        ModelLoaded(model="a", device="cpu", size_bytes=100),
        ModelUnloaded(model="a", reason="a job ran out of memory"),
    ]


def test_a_file_that_cannot_be_loaded_is_tried_again_the_next_time(folder):
    residency = Residency(folder, "cpu")

    def broken(path, device):
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        used(residency, "a", broken)
    assert used(residency, "a", Loader())[0] == "network of a.onnx"


def test_a_loading_that_fails_or_is_given_up_comes_to_an_end_for_those_who_watch(folder):
    told = []
    residency = Residency(folder, "cpu", told.append)

    def broken(path, device):
        raise ValueError("damaged")

    loading = ModelLoading(model="a", phase="device", done=0, total=100)
    given_up = ModelUnloaded(model="a", reason="its loading was given up")
    with pytest.raises(ValueError, match="damaged"):
        used(residency, "a", broken)
    assert told == [loading, given_up]
    told.clear()
    first, second = residency.use("a", Loader()), residency.use("a", Loader())
    next(first)
    next(second)
    first.close()
    assert told == [loading]  # the second still waits for it
    second.close()
    assert told == [loading, given_up]


def test_a_loading_that_is_given_up_does_not_hide_another_variant_in_memory(folder):
    told = []
    residency = Residency(folder, "cpu", told.append)
    kept(residency, "a", 100, at_once("one"), variant="v1")
    told.clear()
    steps = residency.keep("a", 100, at_once("two"), variant="v2")
    next(steps)
    steps.close()
    assert told[-1] == ModelLoaded(model="a", device="cpu", size_bytes=100)


def test_what_is_in_memory_is_told_with_its_sizes(folder):
    residency = Residency(folder, "cuda:0", budget_bytes=1000, home_budget_bytes=1000)
    assert residency.memory == ModelMemory((), 1000)
    used(residency, "a", Loader())
    kept(residency, "b", 10, at_once("one"), variant="v1", size_of=lambda _: 30, home_size_of=lambda _: 5)
    kept(residency, "b", 10, at_once("two"), variant="v2", size_of=lambda _: 40)
    assert residency.memory == ModelMemory((ResidentModel("a", 100), ResidentModel("b", 70, 5)), 1000)
    residency.unload("b", "asked")
    assert residency.memory == ModelMemory((ResidentModel("a", 100),), 1000)


def test_a_missing_file_is_told_before_anything_is_loaded(folder):
    (folder / "a.onnx").unlink()
    with pytest.raises(EngineError, match="safelight models pull a"):
        used(Residency(folder, "cpu"), "a", Loader())


def test_a_load_that_ran_out_of_memory_is_tried_again_now_that_others_are_gone(folder):
    load, residency = Loader(), Residency(folder, "cuda:0")
    steps = residency.use("a", load)
    next(steps)
    again = steps.throw(OutOfMemory("the caches are free now"))
    again.run()
    assert end_of(steps) == "network of a.onnx"


def at_once(network):
    def load():
        return (yield Call(lambda: network))

    return load


def kept(residency, name, size_bytes, load, **about):
    steps, stages, value = residency.keep(name, size_bytes, load, **about), [], None
    while True:
        try:
            call = steps.send(value)
        except StopIteration as end:
            return end.value, stages
        stages.append((call.stage, call.where.value))
        try:
            value = call.run()
        except Exception as error:
            steps.throw(error)
            raise


def test_what_a_job_is_using_stays_whoever_needs_the_room(folder):
    residency = Residency(folder, "cpu", budget_bytes=250)
    for name in "ab":
        used(residency, name, Loader())
    with residency.in_use(network(residency, "a")):
        used(residency, "c", Loader())
        assert residency.names == ("a", "c")
        residency.clear("a job ran out of memory")
        assert residency.names == ("a",)
        assert not residency.unload("a", "asked")
    assert residency.unload("a", "asked")
    assert residency.names == ()


def test_what_is_asked_to_go_while_jobs_use_it_goes_when_the_last_of_them_has_ended(folder):
    told = []
    residency = Residency(folder, "cpu", told.append)
    used(residency, "a", Loader())
    with residency.in_use(network(residency, "a")):
        with residency.in_use(network(residency, "a")):
            assert not residency.unload("a", "asked")
        assert residency.listed == ("a",)
    assert residency.listed == residency.names == ()
    assert told[-1] == ModelUnloaded(model="a", reason="asked")


def test_what_was_asked_to_go_and_then_to_stay_stays(folder):
    residency = Residency(folder, "cpu")
    used(residency, "a", Loader())
    with residency.in_use(network(residency, "a")):
        residency.unload("a", "asked")
        residency.stay("a")
    assert residency.listed == ("a",)
    residency.stay("b")


def test_a_user_of_a_model_that_has_gone_takes_nothing_of_the_next_one_with_it(folder):
    residency = Residency(folder, "cpu")
    used(residency, "a", Loader())
    user = residency.in_use(network(residency, "a"))
    with user:
        residency._drop(residency._residents[Key("a")], "whatever its users say")
        used(residency, "a", Loader())
    assert residency.listed == ("a",)


def test_what_is_listed_follows_every_change(folder):
    residency = Residency(folder, "cpu", budget_bytes=250)
    seen = [residency.listed]
    for name in "abc":
        used(residency, name, Loader())
        seen.append(residency.listed)
    residency.clear("a job ran out of memory")
    assert [*seen, residency.listed] == [(), ("a",), ("a", "b"), ("b", "c"), ()]


def test_what_nobody_used_for_a_while_goes(folder):
    residency = Residency(folder, "cpu")
    used(residency, "a", Loader())
    residency.unload_idle(3600)
    assert residency.names == ("a",)
    with residency.in_use(network(residency, "a")):
        residency.unload_idle(-1)
        assert residency.names == ("a",)
    assert residency.unload_idle(-1)
    assert residency.names == ()
    assert not residency.unload_idle(-1)


def test_the_room_is_counted_by_what_the_weights_really_take(folder):
    residency = Residency(folder, "cpu", budget_bytes=250)
    used(residency, "a", Loader())
    kept(residency, "wide", 100, at_once("weights"), size_of=lambda _network: 200)
    assert residency.names == ("wide",)


def test_large_files_are_read_beside_the_device_and_told_of_in_parts(folder, monkeypatch):
    monkeypatch.setattr("engine.models.read_ahead.READ_AHEAD_BYTES", 150)
    monkeypatch.setattr("engine.models.read_ahead.CHUNK_BYTES", 40)
    told = []
    residency = Residency(folder, "cpu", told.append)
    files = [folder / "a.onnx", folder / "b.onnx"]
    value, stages = kept(residency, "large", 200, at_once("weights"), files=files)
    assert (value, stages) == ("weights", [("read", "pool"), ("load", "device")])
    shares = [body.done / body.total for body in told if isinstance(body, ModelLoading) and body.phase == "read"]
    assert shares == [0.2, 0.4, 0.5, 0.7, 0.9, 1.0]
    assert kept(residency, "large", 200, at_once("weights"), files=files) == ("weights", [])


def test_reading_ahead_stops_when_the_job_that_wanted_it_is_closed_and_the_last_word_is_that(folder, monkeypatch):
    monkeypatch.setattr("engine.models.read_ahead.READ_AHEAD_BYTES", 150)
    monkeypatch.setattr("engine.models.read_ahead.CHUNK_BYTES", 40)
    told = []

    def tell(body):
        told.append(body)
        if isinstance(body, ModelLoading) and body.done == 80:
            steps.close()  # on another thread, while the pool reads

    residency = Residency(folder, "cpu", tell)
    steps = residency.keep("large", 200, at_once("weights"), files=[folder / "a.onnx", folder / "b.onnx"])
    next(steps).run()
    assert [body.done for body in told[:-1]] == [40, 80]
    assert told[-1] == ModelUnloaded(model="large", reason="its loading was given up")


class SlowLoad:
    """Loads in three calls."""

    def __init__(self):
        self.done = []
        self.is_let_go = False

    def __call__(self):
        try:
            for part in range(3):
                where = Where.POOL if part == 0 else Where.DEVICE
                yield Call(lambda part=part: self.done.append(part), where)
        except GeneratorExit:
            self.is_let_go = True
            raise
        return "weights"


def test_jobs_that_wait_for_one_model_share_the_calls_of_its_loading(folder):
    residency, load = Residency(folder, "cpu"), SlowLoad()
    first, second = residency.keep("m", 1, load), residency.keep("m", 1, load)
    calls = [next(first), next(second)]
    assert [call.where for call in calls] == [Where.POOL] * 2
    for call in calls:
        call.run()
    first.send(None).run()
    second.send(None).run()
    assert load.done == [0, 1, 2]
    assert [end_of(steps) for steps in (first, second)] == ["weights"] * 2


def test_a_part_that_another_job_is_making_is_waited_for_and_not_made_twice(folder):
    began, may_end, made = threading.Event(), threading.Event(), []

    def read():
        began.set()
        assert may_end.wait(DEADLINE_S)
        made.append("part")

    def load():
        yield Call(read, Where.POOL)
        return "weights"

    residency = Residency(folder, "cpu")
    first, second = residency.keep("m", 1, load), residency.keep("m", 1, load)
    threads = [threading.Thread(target=next(steps).run) for steps in (first, second)]
    threads[0].start()
    assert began.wait(DEADLINE_S)
    threads[1].start()
    may_end.set()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert made == ["part"]
    assert [end_of(steps) for steps in (first, second)] == ["weights"] * 2


def test_what_the_loader_makes_of_a_failure_is_what_the_job_fails_with(folder):
    def load():
        try:
            yield Call(broken)
        except ValueError as error:
            raise EngineError(ErrorCode.BAD_MODEL, "m: is damaged") from error

    def broken():
        raise ValueError("header too short")

    steps = Residency(folder, "cpu").keep("m", 1, load)
    call = next(steps)
    with pytest.raises(ValueError, match="header"):
        call.run()
    with pytest.raises(EngineError, match="m: is damaged"):
        steps.throw(ValueError("header too short"))


def test_a_loading_goes_on_when_one_of_its_jobs_is_gone_and_ends_with_the_last(folder):
    residency, load = Residency(folder, "cpu"), SlowLoad()
    first, second = residency.keep("m", 1, load), residency.keep("m", 1, load)
    next(first).run()
    next(second)
    first.close()
    assert not load.is_let_go
    second.close()
    assert load.is_let_go
    assert kept(residency, "m", 1, SlowLoad())[0] == "weights"


def test_a_loading_that_fails_fails_for_each_and_leaves_nothing(folder):
    residency = Residency(folder, "cpu")

    def broken():
        yield Call(lambda: None)
        raise ValueError("damaged")

    for _ in range(2):
        with pytest.raises(ValueError, match="damaged"):
            kept(residency, "m", 1, broken)
    assert residency.names == ()
    assert kept(residency, "m", 1, at_once("weights"))[0] == "weights"
