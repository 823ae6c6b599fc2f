"""What is known of the models, and how often the disk is looked at."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from protocol.models import ModelInfo, ModelKind
from service.dialects.fooocus import shelf as module
from service.dialects.fooocus.shelf import Known, Shelf, file_name
from service.wiring import Services

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def model(name: str, kind: ModelKind | None = ModelKind.CHECKPOINT, **about: Any) -> ModelInfo:
    given = {"is_present": True, **about}
    return ModelInfo(name=name, title=name, tasks=(), licence="?", size_bytes=1, kind=kind, **given)


class Disk:
    """Stands for the models and styles of a server; counts how often it is looked at."""

    def __init__(self, *there: ModelInfo) -> None:
        self.there = there
        self.looks = 0

    async def models(self) -> Any:
        self.looks += 1
        return SimpleNamespace(models=self.there)

    async def styles(self) -> Any:
        return SimpleNamespace(styles=[SimpleNamespace(name="Old Film")])

    def shelf(self) -> Shelf:
        models, styles = SimpleNamespace(list=self.models), SimpleNamespace(list=self.styles)
        return Shelf(cast("Services", SimpleNamespace(models=models, styles=styles)))


async def known(*there: ModelInfo) -> Known:
    return await Disk(*there).shelf().known()


@pytest.mark.parametrize("name", ["ink", "ink.safetensors", "INK.ckpt", "drawn/ink.safetensors", "drawn\\ink"])
async def test_a_model_is_found_by_its_file_in_whatever_letters_and_folder(name: str) -> None:
    found = (await known(model("ink", ModelKind.LORA))).find(ModelKind.LORA, name)
    assert found is not None
    assert found.name == "ink"


async def test_a_model_of_another_kind_or_name_is_not_found() -> None:
    there = await known(model("ink", ModelKind.LORA))
    assert there.find(ModelKind.CHECKPOINT, "ink") is None
    assert there.find(ModelKind.LORA, "inks") is None


async def test_what_cannot_be_used_is_as_if_it_were_not_there() -> None:
    there = await known(
        model("damaged", problem="cut short"), model("coming", is_present=False), model("packaged", kind=None)
    )
    assert there.all(ModelKind.CHECKPOINT) == []


async def test_the_default_checkpoint_and_the_styles_are_known() -> None:
    there = await known(model("one"), model("two", is_default=True))
    assert there.default is not None
    assert there.default.name == "two"
    assert (there.has_style("Old Film"), there.has_style("New Film")) == (True, False)


async def test_the_disk_is_looked_at_now_and_then_and_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(model("one"))
    shelf = disk.shelf()
    for _ in range(3):
        await shelf.known()
    assert disk.looks == 1
    disk.there = (model("one"), model("two"))
    assert len((await shelf.look()).all(ModelKind.CHECKPOINT)) == 2
    monkeypatch.setattr(module, "_LOOK_AGAIN_S", -1.0)
    await shelf.look()
    await shelf.known()
    assert disk.looks == 4


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        (None, "ink"),
        ("ink.safetensors", "ink.safetensors"),
        ("loras/drawn/ink.safetensors", "drawn/ink.safetensors"),
        ("checkpoints/ink.ckpt", "ink.ckpt"),
    ],
)
def test_a_model_is_listed_by_its_file_below_the_folder_of_its_kind(file: str | None, shown: str) -> None:
    assert file_name(model("ink", ModelKind.LORA, file=file)) == shown
