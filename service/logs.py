"""Logs: events with fields, for people or for machines, on standard error.

Our own loggers (structlog) and those of libraries (logging) end in one formatter. What a client wrote never gets
there: no prompts, no keys, no query strings.
"""

import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any, Final, Protocol, TextIO
from urllib.parse import quote

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import LOGGED_NOTE
from service.setting_values import LogFormat
from service.settings import Settings

logger = structlog.get_logger(__name__)
_levels = logging.getLogger(__name__)

_HIDDEN_FIELDS: Final = frozenset(
    {"prompt", "negative_prompt", "params", "body", "headers", "authorization", "key", "api_key", "secret", "cookie"}
)
_HIDDEN: Final = "[hidden]"
_QUIET_PATHS: Final = ("/v1/health/", "/metrics")
_LONGEST_PATH: Final = 256
_UVICORN: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
_TOLD_OTHERWISE: Final = (
    '%s - "WebSocket %s"',  # with its query string
    "connection open",
    "connection closed",
    "connection rejected",
    "ASGI callable returned without completing handshake",  # said of every handshake that is denied with an answer
)
_CHATTY: Final = ("httpx", "httpcore", "PIL", "asyncio", "aiosqlite")
"""Their debug lines name URLs, files and rows."""

_EventDict = MutableMapping[str, Any]


class RequestObserver(Protocol):
    """Counts requests."""

    def observe_request(self, method: str, route: str, status: int, duration_s: float) -> None: ...


def configure(settings: Settings, stream: TextIO = sys.stderr) -> None:
    """Send every log line of this process to `stream`, as `log_format` and `log_level` say.

    Warnings of the interpreter become log lines. May be called again; the last call counts.
    """
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    is_json = settings.log_format is LogFormat.JSON
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    # Plain tracebacks on purpose: the rich ones show local variables, and so prompts and keys.
    ending: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_to_json)]
        if is_json
        else [
            _escape,
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=24
            ),
        ]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), _drop_colours, _hide],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    handler.addFilter(_is_news)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _UVICORN:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)


class RequestLog:
    """ASGI middleware: one line per request and per socket, and a count of it.

    Health checks and metrics are logged at debug level. `request.state.key_id` is told if it is set.
    """

    def __init__(self, app: ASGIApp, metrics: RequestObserver | None = None) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        status = 0
        started_at = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            kind = message["type"]
            if kind in {"http.response.start", "websocket.http.response.start"}:
                status = message["status"]
            elif kind == "websocket.accept":
                status = 101
            elif kind == "websocket.close" and not status:
                status = 403  # what a server makes of a close before the handshake
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except BaseException:
            status = status or 500
            raise
        finally:
            self._tell(scope, status, time.perf_counter() - started_at)

    def _tell(self, scope: Scope, status: int, duration_s: float) -> None:
        path: str = scope["path"]
        method = "WEBSOCKET" if scope["type"] == "websocket" else scope["method"]
        level = logging.DEBUG if path.startswith(_QUIET_PATHS) else logging.INFO
        if _levels.isEnabledFor(level):  # asked first: the fields cost more than the asking
            key_id = scope.get("state", {}).get("key_id")
            told = {"key_id": key_id} if key_id is not None else {}
            logger.log(
                level,
                "request",
                method=method,
                path=shown_path(scope),
                status=status,
                duration_s=round(duration_s, 6),
                **told,
            )
        if self._metrics is not None:
            self._metrics.observe_request(method, route_template(scope), status, duration_s)


def route_template(scope: Scope) -> str:
    """The route that answered, with the names of its parameters in place of their values; `unmatched` if none did."""
    if "endpoint" not in scope:
        return "unmatched"
    path: str = scope["path"]
    for name, value in scope.get("path_params", {}).items():
        before, found, after = path.rpartition(f"/{value}")
        if found:
            path = f"{before}/{{{name}}}{after}"
    return path


def shown_path(scope: Scope) -> str:
    """The path as the client encoded it, so that it is one line of plain characters; cut if it is endless."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.partition(b"?")[0].decode("ascii", "backslashreplace")[:_LONGEST_PATH]


def _is_news(record: logging.LogRecord) -> bool:
    """False for what uvicorn says of a socket or an exception that we tell of ourselves."""
    if not record.name.startswith("uvicorn"):
        return True
    if isinstance(record.msg, str) and record.msg.startswith(_TOLD_OTHERWISE):
        return False
    error = record.exc_info[1] if record.exc_info else None
    return not any(note.startswith(LOGGED_NOTE) for note in getattr(error, "__notes__", ()))


def _hide(_logger: object, _method: str, event: _EventDict) -> _EventDict:
    for name in _HIDDEN_FIELDS & event.keys():
        event[name] = _HIDDEN
    return event


def _drop_colours(_logger: object, _method: str, event: _EventDict) -> _EventDict:
    event.pop("color_message", None)
    return event


def _escape(_logger: object, _method: str, event: _EventDict) -> _EventDict:
    """No field can begin a new line or move the cursor of the terminal it is read in."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = "".join(each if each.isprintable() else repr(each)[1:-1] for each in value)
    return event


def _to_json(event: Any, **_options: Any) -> str:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
