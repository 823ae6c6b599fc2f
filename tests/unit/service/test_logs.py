import io
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Message
from starlette.websockets import WebSocket

from protocol.errors import ErrorCode, ProtocolError
from service.errors import EXCEPTION_HANDLERS, ServiceError
from service.logs import RequestLog, configure, route_template, shown_path
from service.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Seen:
    """What the observer of requests was told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, int]] = []

    def observe_request(self, method: str, route: str, status: int, duration_s: float) -> None:
        assert duration_s >= 0
        self.requests.append((method, route, status))


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def configured(**settings: object) -> io.StringIO:
    stream = io.StringIO()
    configure(Settings.model_validate({**Settings().model_dump(), "log_format": "json", **settings}), stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


async def job(request: Request) -> Response:
    request.state.key_id = "k1"
    return PlainTextResponse("x")


async def broken(request: Request) -> Response:
    prompt = "a secret apple"
    raise RuntimeError("broken pipe dream" if prompt else "")


async def busy(request: Request) -> Response:
    raise ServiceError(ErrorCode.QUEUE_FULL, "full", retry_after_s=1.2)


async def unknown_key(request: Request) -> Response:
    raise ProtocolError(ErrorCode.UNAUTHORIZED, "no key")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


def application(seen: Seen | None = None) -> RequestLog:
    app = Starlette(
        routes=[
            Route("/v1/jobs/{job_id}", job),
            Route("/v1/health/live", job),
            Route("/broken", broken),
            Route("/busy", busy),
            Route("/busy", job, methods=["DELETE"]),
            Route("/unknown-key", unknown_key),
            WebSocketRoute("/v1/ws", socket),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    return RequestLog(app, seen)


def client(seen: Seen | None = None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(application(seen), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def open_and_close(app: RequestLog) -> None:
    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        assert message["type"] in {"websocket.accept", "websocket.close"}

    scope = {"type": "websocket", "path": "/v1/ws", "headers": [], "subprotocols": [], "query_string": b""}
    await app(scope, receive, send)


async def test_a_request_is_one_line_with_its_key_and_time_and_without_its_query() -> None:
    stream = configured()
    await client().get("/v1/jobs/1?key=sl_secret")
    (line,) = [line for line in lines(stream) if line["event"] == "request"]
    assert (line["method"], line["path"], line["status"], line["key_id"]) == ("GET", "/v1/jobs/1", 200, "k1")
    assert line["duration_s"] >= 0
    assert line["level"] == "info"
    assert "sl_secret" not in stream.getvalue()


async def test_health_checks_are_not_news() -> None:
    stream = configured()
    await client().get("/v1/health/live")
    assert lines(stream) == []
    stream = configured(log_level="debug")
    await client().get("/v1/health/live")
    assert any(line["event"] == "request" and line["level"] == "debug" for line in lines(stream))


async def test_requests_are_counted_by_route_and_not_by_path() -> None:
    seen = Seen()
    async with client(seen) as http:
        await http.get("/v1/jobs/1")
        await http.get("/v1/jobs/2")
        await http.get("/nothing/here")
        await http.delete("/v1/jobs/1")
    await open_and_close(application(seen))
    assert seen.requests == [
        ("GET", "/v1/jobs/{job_id}", 200),
        ("GET", "/v1/jobs/{job_id}", 200),
        ("GET", "unmatched", 404),
        ("DELETE", "/v1/jobs/{job_id}", 405),
        ("WEBSOCKET", "/v1/ws", 101),
    ]


def test_a_parameter_that_looks_like_a_folder_of_the_route_does_not_confuse_the_template() -> None:
    scope = {"path": "/v1/jobs/jobs/outputs/0", "endpoint": job, "path_params": {"job_id": "jobs", "number": "0"}}
    assert route_template(scope) == "/v1/jobs/{job_id}/outputs/{number}"


@pytest.mark.parametrize(
    ("scope", "shown"),
    [
        ({"path": "/a b", "raw_path": b"/a%20b?key=sl_secret"}, "/a%20b"),
        ({"path": "/a\nb"}, "/a%0Ab"),
        ({"path": "/x", "raw_path": b"/\xff" + b"x" * 1000}, "/\\xff" + "x" * 251),
    ],
)
def test_a_path_is_shown_as_it_was_sent_without_its_query_and_not_endlessly(scope: dict[str, Any], shown: str) -> None:
    assert shown_path(scope) == shown


async def test_a_path_cannot_begin_a_line_of_its_own() -> None:
    stream = configured(log_format="console")
    await client().get("/a%0a2026-01-01 [error] forged%1b[31m")
    structlog.get_logger("x").info("event", field="a\nb\x1b[2J")
    assert "forged" in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 2
    assert "\x1b" not in stream.getvalue()


def test_prompts_and_keys_are_hidden_even_if_somebody_logs_them() -> None:
    stream = configured()
    structlog.get_logger("x").info("event", prompt="an apple", key="sl_1", key_id="k1")
    logging.getLogger("library").info("event", extra={"authorization": "Bearer sl_1"})
    assert "an apple" not in stream.getvalue()
    assert "sl_1" not in stream.getvalue()
    assert "k1" in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_a_mistake_of_ours_is_logged_once_with_the_id_the_caller_got_and_no_local_variables(
    log_format: str,
) -> None:
    stream = configured(log_format=log_format)
    answer = await client().get("/broken")
    # uvicorn reports what the application raised once more.
    try:
        raise RuntimeError("already told")
    except RuntimeError as error:
        error.add_note("logged as 1")
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "internal"
    assert "dream" not in answer.text
    error_id = problem["detail"].rsplit(" ", 1)[-1]
    text = stream.getvalue()
    assert text.count("RuntimeError: broken pipe dream") == 1
    assert error_id in text
    assert "Traceback" in text
    assert "a secret apple" not in text
    assert "already told" not in text


def test_an_exception_nobody_has_logged_is_logged_by_uvicorn() -> None:
    stream = configured()
    try:
        raise RuntimeError("news")
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    assert "news" in stream.getvalue()


def test_what_uvicorn_says_of_sockets_is_left_out_for_it_has_their_query_strings() -> None:
    stream = configured()
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.info('%s - "WebSocket %s" [accepted]', "127.0.0.1:1", "/v1/ws?key=sl_secret")
    uvicorn.error("ASGI callable returned without completing handshake.")
    uvicorn.info("Application startup complete.")
    assert [line["event"] for line in lines(stream)] == ["Application startup complete."]


def test_lines_below_the_level_are_not_written_and_warnings_are() -> None:
    stream = configured(log_level="warning")
    structlog.get_logger("x").info("quiet")
    logging.getLogger("library").info("quiet")
    structlog.get_logger("x").warning("loud", path=sys)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("careful", UserWarning, stacklevel=1)
    told = [line["event"] for line in lines(stream)]
    assert told[0] == "loud"
    assert "careful" in told[1]
    assert len(told) == 2


def test_our_own_lines_and_those_of_libraries_have_the_same_fields() -> None:
    stream = configured()
    structlog.get_logger("ours").info("event")
    logging.getLogger("theirs").info("event")
    ours, theirs = lines(stream)
    assert ours.keys() == theirs.keys() == {"event", "level", "logger", "timestamp"}
    assert (ours["logger"], theirs["logger"]) == ("ours", "theirs")


async def test_refusals_are_problem_documents_with_the_headers_that_belong_to_them() -> None:
    async with client() as http:
        full = await http.get("/busy")
        assert (full.status_code, full.json()["code"], full.headers["retry-after"]) == (429, "queue_full", "2")
        stranger = await http.get("/unknown-key")
        assert (stranger.status_code, stranger.headers["www-authenticate"]) == (401, 'Bearer realm="safelight"')
        method = await http.put("/busy")
        assert (method.status_code, method.json()["code"]) == (405, "method_not_allowed")
        assert method.headers["allow"] == "DELETE, GET, HEAD"
        assert "DELETE, GET, HEAD" in method.json()["detail"]
        missing = await http.get("/nothing")
        assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
        assert missing.json()["type"] == "/docs/errors#not_found"
