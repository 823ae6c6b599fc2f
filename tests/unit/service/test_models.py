"""Names, narrowing and refusals, over a shelf of made-up models. The routes are in tests/integration/test_models.py."""

from collections.abc import Collection, Sequence
from typing import Any, cast

import pytest

from engine.interface.engine import Engine
from protocol.errors import ErrorCode, ProtocolError
from protocol.models import ModelInfo, ModelKind
from service.downloads import Downloads
from service.models import Models, Shelf

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def info(name: str, kind: ModelKind | None = ModelKind.CHECKPOINT, **more: Any) -> ModelInfo:
    about = {"title": name, "tasks": (), "licence": "", "size_bytes": 1, "is_present": True, **more}
    return ModelInfo(id=f"{kind}:{name}" if kind else name, name=name, kind=kind, **about)


class FakeShelf:
    """Lists what it was made with."""

    def __init__(self, *models: ModelInfo) -> None:
        self.listed = models
        self.asked: list[Collection[str]] = []

    def models(self, resident: Collection[str]) -> Sequence[ModelInfo]:
        self.asked.append(resident)
        return self.listed

    def sha256(self, model_id: str) -> str | None:
        if model_id.endswith("unreadable"):
            raise PermissionError(13, "Permission denied")
        return None


class FakeEngine:
    """Notes what it is asked to unload."""

    def __init__(self) -> None:
        self.unloaded: list[tuple[str, str]] = []

    def resident_models(self) -> tuple[str, ...]:
        return ("checkpoint:a",)

    def unload_model(self, name: str, reason: str) -> None:
        self.unloaded.append((name, reason))


class FakeDownloads:
    """Has some under way."""

    def __init__(self, *infos: ModelInfo) -> None:
        self._infos = infos

    def infos(self) -> Sequence[ModelInfo]:
        return self._infos


def models(*there: ModelInfo, coming: Sequence[ModelInfo] = (), engine: FakeEngine | None = None) -> Models:
    return Models(
        cast("Shelf", FakeShelf(*there)),
        cast("Engine", engine or FakeEngine()),
        cast("Downloads", FakeDownloads(*coming)),
    )


async def refusal(made: Models, name: str) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        await made.loadable(name)
    return caught.value


async def test_a_shared_name_means_the_checkpoint_and_without_one_nobody_guesses() -> None:
    lora, checkpoint = info("ink", ModelKind.LORA), info("ink")
    assert await models(lora, checkpoint).find("ink") is checkpoint
    assert await models(lora, checkpoint).find("lora:ink") is lora
    with pytest.raises(ProtocolError, match="lora:ink, vae:ink") as caught:
        await models(lora, info("ink", ModelKind.VAE)).find("ink")
    assert caught.value.code is ErrorCode.INVALID_PARAMS


async def test_a_name_that_is_another_models_id_means_that_model() -> None:
    odd, plain = info("lora:ink"), info("ink", ModelKind.LORA)
    assert await models(odd, plain).find("lora:ink") is plain


async def test_a_name_that_nothing_has_is_answered_with_those_that_are_close() -> None:
    with pytest.raises(ProtocolError, match="close to it: 'dreams'") as caught:
        await models(info("dreams"), info("u2netp", None)).find("dream")
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_what_is_on_its_way_is_listed_until_it_is_there() -> None:
    coming = info("ink", is_present=False)
    assert (await models(coming=[coming]).list()).models == (coming,)
    there = info("ink")
    assert (await models(there, coming=[coming]).list()).models == (there,)


@pytest.mark.parametrize(
    ("model", "code", "words"),
    [
        (info("a", None), ErrorCode.INVALID_PARAMS, "a packaged model"),
        (info("a", ModelKind.VAE), ErrorCode.INVALID_PARAMS, "of the kind vae"),
        (info("a", is_present=False), ErrorCode.NOT_FOUND, "not there yet"),
        (info("a", problem="it is truncated"), ErrorCode.INVALID_PARAMS, "cannot be used: it is truncated"),
    ],
)
async def test_only_a_checkpoint_that_is_there_and_sound_is_loaded(
    model: ModelInfo, code: ErrorCode, words: str
) -> None:
    error = await refusal(models(model), "a")
    assert error.code is code
    assert words in error.message


async def test_unloading_names_the_model_as_the_engine_does() -> None:
    engine = FakeEngine()
    made = models(info("a"), info("u2netp", None), engine=engine)
    for name in ("a", "u2netp"):
        await made.unload(name)
    assert engine.unloaded == [("checkpoint:a", "asked by a client"), ("u2netp", "asked by a client")]


@pytest.mark.parametrize(("name", "words"), [("u2netp", "has no hash"), ("unreadable", "Permission denied")])
async def test_what_has_no_hash_or_cannot_be_read_says_so(name: str, words: str) -> None:
    made = models(info("u2netp", None), info("unreadable"))
    with pytest.raises(ProtocolError, match=words) as caught:
        await made.hashed(name)
    assert caught.value.code is ErrorCode.INVALID_PARAMS
