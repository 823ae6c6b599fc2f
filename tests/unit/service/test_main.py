"""The process of a server: what it does with itself beside serving."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service import main
from service.settings import Settings


class Stopped:
    """A server that has run and ended well."""

    has_failed = False
    started = True

    def run(self) -> None:
        """It is over already."""


def test_what_a_process_has_loaded_is_spared_the_collection_of_garbage_once_the_engine_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Callable[[], Any]] = []

    def make(_settings: Settings, on_ready: Callable[[], None]) -> Stopped:
        given.append(on_ready)
        return Stopped()

    monkeypatch.setattr(main, "make_server", make)
    monkeypatch.setattr(main, "configure", lambda _settings: None)
    main.serve(Settings(engine="fake", data_dir=tmp_path))  # type: ignore[arg-type] # a name
    assert given == [gc.freeze]
