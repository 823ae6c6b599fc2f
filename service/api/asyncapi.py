"""The AsyncAPI 3.0 document of `/v1/ws`: what either side may send, and every code a socket is closed with."""

import inspect
from typing import Any, Final

from protocol import schema
from protocol.events import EVENTS, FACTS, JOB_HINTS, EventBody
from protocol.messages import CLIENT_MESSAGES, CLOSE_CODES, Reply
from protocol.version import JSON_SUBPROTOCOL, KEY_SUBPROTOCOL_PREFIX, MSGPACK_SUBPROTOCOL, SOFTWARE_VERSION

_CHANNEL: Final = "socket"
_DESCRIPTION: Final = f"""\
One socket carries many jobs. Offer a subprotocol: `{JSON_SUBPROTOCOL}` (text frames; a preview is a binary frame of a
big-endian 32-bit header length, the event as JSON without its bytes, and the picture) or `{MSGPACK_SUBPROTOCOL}`
(every frame is one msgpack map; a preview's picture is `bin`). A browser, which cannot set headers, offers
`{KEY_SUBPROTOCOL_PREFIX}<API key>` beside it, or sends `auth` first."""


def document(*, key_header: str = "X-API-Key") -> dict[str, Any]:
    """The AsyncAPI document.

    Args:
        key_header: the header this server takes a key from.
    """
    messages = {**_client_messages(), "reply": _reply(), **_event_messages()}
    from_server = [name for name in messages if name not in CLIENT_MESSAGES]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Safelight",
            "version": SOFTWARE_VERSION,
            "description": "Submit image jobs and watch them develop. The HTTP half is in `/openapi.json`.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "here": {
                "host": "{host}",
                "protocol": "ws",
                "variables": {"host": {"default": "127.0.0.1:8765"}},
                "security": [
                    {"$ref": "#/components/securitySchemes/key"},
                    {"$ref": "#/components/securitySchemes/bearer"},
                ],
            }
        },
        "channels": {
            _CHANNEL: {
                "address": "/v1/ws",
                "title": "Jobs and their events",
                "description": f"{_DESCRIPTION}\n\n{_close_codes()}",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET", "headers": _handshake(), "bindingVersion": "0.1.0"}},
                "x-close-codes": {str(code): meaning for code, meaning in CLOSE_CODES.items()},
            }
        },
        "operations": {
            **{
                f"on_{name}": {
                    "action": "receive",
                    "channel": {"$ref": f"#/channels/{_CHANNEL}"},
                    "summary": messages[name]["summary"],
                    "messages": [{"$ref": f"#/channels/{_CHANNEL}/messages/{name}"}],
                    "reply": {
                        "channel": {"$ref": f"#/channels/{_CHANNEL}"},
                        "messages": [{"$ref": f"#/channels/{_CHANNEL}/messages/reply"}],
                    },
                }
                for name in CLIENT_MESSAGES
            },
            "tell": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{_CHANNEL}"},
                "summary": "Replies and events.",
                "messages": [{"$ref": f"#/channels/{_CHANNEL}/messages/{name}"} for name in from_server],
            },
        },
        "components": {
            "messages": messages,
            "schemas": schema.components(),
            "securitySchemes": {
                "key": {"type": "httpApiKey", "in": "header", "name": key_header},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _client_messages() -> dict[str, Any]:
    return {name: _message(name, message.__name__, message.__doc__) for name, message in CLIENT_MESSAGES.items()}


def _reply() -> dict[str, Any]:
    return {
        **_message("reply", Reply.__name__, Reply.__doc__),
        "correlationId": {"location": "$message.payload#/ref", "description": "As the client's message had it."},
    }


def _event_messages() -> dict[str, Any]:
    return {
        # The keys of a map in AsyncAPI have no dots.
        kind.replace(".", "_"): {
            **_message(kind, schema.event_schema_name(body), body.__doc__),
            "tags": [{"name": _kind(body)}],
        }
        for kind, body in EVENTS.items()
    }


def _message(name: str, schema_name: str, documentation: str | None) -> dict[str, Any]:
    text = inspect.cleandoc(documentation or "")
    return {
        "name": name,
        "title": name,
        "summary": text.partition("\n")[0],
        "payload": {"$ref": f"#/components/schemas/{schema_name}"},
    }


def _kind(body: type[EventBody]) -> str:
    if body in FACTS:
        return "fact"
    return "hint" if body in JOB_HINTS else "server hint"


def _close_codes() -> str:
    lines = (f"| {code} | {meaning} |" for code, meaning in CLOSE_CODES.items())
    return "\n".join(("| close code | meaning |", "|---|---|", *lines))


def _handshake() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "Sec-WebSocket-Protocol": {
                "type": "string",
                "description": f"{JSON_SUBPROTOCOL} or {MSGPACK_SUBPROTOCOL}; and perhaps {KEY_SUBPROTOCOL_PREFIX}...",
            }
        },
        "required": ["Sec-WebSocket-Protocol"],
    }
