"""Both codecs, a folder for models, and a log that is looked at."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from protocol.codec import CODECS, Codec
from service.errors import LOGGED_NOTE

_ASKED = {"job.raised", "store.unavailable"}
"""Errors a test asks for: that a job fails, or a disk is full, is no mistake of the server's."""
_CLIENTS = ("websockets.client", "engineio.client", "socketio.client")


@pytest.fixture(params=CODECS.values(), ids=lambda codec: codec.name)
def codec(request: pytest.FixtureRequest) -> Codec:
    """Each way to write messages into WebSocket frames."""
    chosen: Codec = request.param
    return chosen


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """An empty folder, for a server whose models come and go."""
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def quiet_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fails the test if a server in this process logs an error, or answers with a 5xx other than 503."""
    caplog.set_level(logging.INFO, logger="service.logs")  # or it counts no requests
    with capture_logs() as entries:
        yield
    errors = [
        entry for entry in entries if entry["log_level"] in {"error", "critical"} and entry["event"] not in _ASKED
    ]
    errors += [entry for entry in entries if entry["event"] == "request" and entry["status"] in {500, 501, 502, 504}]
    # As short text: what a fuzzer sends can be too deep for the comparison of values.
    assert not [f"{entry['event']}: {entry.get('path')} {entry.get('exc_info')!r:.200}" for entry in errors]
    assert not [record.getMessage() for record in caplog.get_records("call") if _is_ours(record)]


def _is_ours(record: logging.LogRecord) -> bool:
    # The client libraries in these tests complain of connections that a test has cut, Socket.IO's on threads that
    # outlive it. And what uvicorn makes of an exception that has been logged already is no news.
    notes = getattr(record.exc_info[1], "__notes__", ()) if record.exc_info else ()
    is_known = record.name.startswith(_CLIENTS) or any(note.startswith(LOGGED_NOTE) for note in notes)
    return record.levelno >= logging.ERROR and not is_known
