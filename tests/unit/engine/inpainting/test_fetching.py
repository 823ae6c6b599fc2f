"""A job waits for the files of its model outside the side pool, and hears why they do not come."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.inpainting.fcf import FCF
from engine.inpainting.fetching import Fetching
from engine.inpainting.ldm import LDM
from engine.inpainting.weights import Weights
from engine.interface import Call, EngineError, Where
from engine.interface.downloads import DownloadFailed, WantedFile
from protocol.errors import ErrorCode


class Slow:
    """A downloader whose files are there at the third look."""

    def __init__(self, failure: str | None = None) -> None:
        self.begun: list[tuple[str, Sequence[WantedFile]]] = []
        self.looks = 0
        self.failure = failure

    def begin(self, model: str, files: Sequence[WantedFile]) -> "Slow":
        self.begun.append((model, files))
        return self

    def wait(self, timeout_s: float) -> bool:
        assert timeout_s > 0
        self.looks += 1
        if self.failure is not None:
            raise DownloadFailed(self.failure)
        return self.looks == 3


def go(fetching: Fetching, spec: Any) -> list[Call]:
    steps, calls, value, error = fetching(spec), [], None, None
    try:
        while True:
            calls.append(steps.send(value) if error is None else steps.throw(error))
            value = error = None
            try:
                value = calls[-1].run()
            except DownloadFailed as raised:
                error = raised
    except StopIteration:
        return calls


def test_job_looks_until_the_files_are_there_without_taking_the_pool_or_the_device(tmp_path: Path) -> None:
    downloader = Slow()
    calls = go(Fetching(Weights(models_dir=tmp_path, environ={}), downloader), FCF)
    assert len(calls) == 3
    assert {(call.where, call.stage) for call in calls} == {(Where.OUTSIDE, "download")}
    assert all(call.deadline_s is not None for call in calls)
    model, files = downloader.begun[0]
    assert model == "eraser:fcf"
    assert [(file.target, file.md5) for file in files] == [
        (tmp_path / "erasers" / "places_512_G.pth", "3323152bc01bf1c56fd8aba74435a211")
    ]


def test_only_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "diffusion.pt").write_bytes(b"x")
    downloader = Slow()
    go(Fetching(Weights(models_dir=tmp_path, environ={}), downloader), LDM)
    assert [file.target.name for file in downloader.begun[0][1]] == [
        "cond_stage_model_encode.pt",
        "cond_stage_model_decode.pt",
    ]


def test_nothing_is_asked_for_when_all_is_there(tmp_path: Path) -> None:
    (tmp_path / "places_512_G.pth").write_bytes(b"x")
    downloader = Slow()
    assert go(Fetching(Weights(models_dir=tmp_path, environ={}), downloader), FCF) == []
    assert downloader.begun == []


def test_failure_is_told_with_the_address_and_the_folder(tmp_path: Path) -> None:
    fetching = Fetching(Weights(models_dir=tmp_path, environ={}), Slow("its host has no address"))
    with pytest.raises(EngineError) as caught:
        go(fetching, FCF)
    assert caught.value.code is ErrorCode.MODEL_MISSING
    for part in ("its host has no address", FCF.files[0].url, "erasers"):
        assert part in caught.value.message
