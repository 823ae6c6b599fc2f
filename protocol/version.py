"""The version of the wire protocol, and what may change without raising it.

Within one version: new optional fields, new event types, new error codes, new tasks. A reader ignores fields
and event types it does not know. Removing or renaming something, or giving an old name a new meaning, needs a
new version and a new pair of WebSocket subprotocols.
"""

from typing import Final

SOFTWARE_VERSION = "0.1.0"
"""Of this program; read by the build. Says nothing of what goes over the wire."""
PROTOCOL_VERSION: Final = 1
JSON_SUBPROTOCOL: Final = "safelight.v1.json"
MSGPACK_SUBPROTOCOL: Final = "safelight.v1.msgpack"
KEY_SUBPROTOCOL_PREFIX: Final = "safelight.key."
"""A browser cannot set headers on a WebSocket: it offers `safelight.key.<API key>` beside the codec it wants."""
