"""Servers with the profile of the text-removal service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import ThreadServer, thread_server

PROFILE = "0=text_removal"


@pytest.fixture
def profile() -> str:
    return PROFILE


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadServer]:
    """With the fake engine."""
    with thread_server(tmp_path / "data", listen=PROFILE) as running:
        yield running
