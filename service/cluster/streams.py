"""The streams and buckets of a cluster: made where they are missing, and compared with what they have to be.

    ForeignStream     one is there that Safelight cannot work with

A server takes settings it does not know, or cannot have, in silence, and somebody may have made or changed a stream of
this name. So what the server says it has is read back and compared, setting by setting. Of what differs only what
follows from our own settings is changed: the time to live of a bucket, and more replicas.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NewType

import orjson
import structlog
from nats.js.errors import APIError

from service.cluster.connection import ANSWER_S, Connection, Unavailable, UnfitServer, asking
from service.cluster.names import Names
from service.cluster.stream_settings import ID_KEY, Bucket, Difference, Wanted, buckets, differences, streams
from service.settings import Settings, SettingsError

logger = structlog.get_logger(__name__)

StreamId = NewType("StreamId", str)
"""Of a facts stream, made with it: the cluster's own name for its history. Hexadecimal."""

_START_S: Final = 10.0
_RETRY_S: Final = 0.2
_NOT_FOUND: Final = 10059
_NAME_IN_USE: Final = 10058
_OVERLAP: Final = 10065
_TOO_FEW_SERVERS: Final = frozenset({10005, 10074})  # no suitable peers, not a cluster


class ForeignStream(SettingsError):
    """A stream or bucket of our name that we cannot work with.

    Attributes:
        stream: its name at NATS.
        differences: every setting that differs.
    """

    def __init__(self, stream: str, address: str, differences: Sequence[Difference]) -> None:
        self.stream = stream
        self.differences = tuple(differences)
        is_another = any(difference.is_fixed for difference in differences)
        remedy = (
            f"remove it if nobody needs it (nats stream rm {stream})"
            if is_another
            else f"change it back (nats stream edit {stream})"
        )
        listed = "; ".join(str(difference) for difference in differences)
        super().__init__(
            f"the stream {stream} of NATS at {address} is not as Safelight needs it: {listed}. "
            f"Choose another name with the setting `cluster`, or {remedy}"
        )


async def ensure(connection: Connection, names: Names, settings: Settings) -> StreamId:
    """Make the streams and buckets that are missing, and compare all with what they have to be. For the start.

    Several gateways and workers may do it at once.

    Returns:
        Whose history the facts stream is.

    Raises:
        ForeignStream: one of them is not as it has to be.
        SettingsError: one of them cannot be made.
        UnfitServer: JetStream does not answer.
    """
    until = time.monotonic() + _START_S
    while True:
        try:
            await _ensure(connection, buckets(names, settings))
            found = await _ensure(connection, streams(names, settings))
        except Unavailable as error:
            if time.monotonic() > until:
                raise UnfitServer(f"nats_url: JetStream at {connection.address} does not answer: {error}") from None
            await asyncio.sleep(_RETRY_S)
        else:
            return StreamId(found[names.facts_stream]["metadata"][ID_KEY])


async def ensure_buckets(connection: Connection, names: Names, settings: Settings) -> None:
    """Make the buckets that are missing: those in memory go with their server. Cheap; for each reconnect.

    Raises:
        Unavailable, ForeignStream, SettingsError: as `ensure`.
    """
    await _ensure(connection, buckets(names, settings))


async def ensure_bucket(connection: Connection, names: Names, settings: Settings, which: Bucket) -> None:
    """Make one bucket if it is missing. For a command that touches nothing else of a cluster.

    Raises:
        Unavailable, ForeignStream, SettingsError: as `ensure`.
    """
    name = f"KV_{names.bucket(which)}"
    await _ensure(connection, [wanted for wanted in buckets(names, settings) if wanted.name == name])


async def stream_id(connection: Connection, names: Names) -> StreamId | None:
    """Whose history the facts stream is now; None if there is none.

    Raises:
        Unavailable: NATS does not answer.
    """
    config = await _config(connection, names.facts_stream)
    found = config.get("metadata", {}).get(ID_KEY) if config is not None else None
    return StreamId(found) if found else None


async def _ensure(connection: Connection, wanted: Iterable[Wanted]) -> dict[str, Mapping[str, Any]]:
    all_wanted = list(wanted)
    found = await asyncio.gather(*(_ensure_one(connection, one) for one in all_wanted), return_exceptions=True)
    for problem in found:
        if isinstance(problem, BaseException):
            raise problem
    return {
        stream.name: config for stream, config in zip(all_wanted, found, strict=True) if isinstance(config, Mapping)
    }


async def _ensure_one(connection: Connection, wanted: Wanted) -> Mapping[str, Any]:
    found = await _config(connection, wanted.name)
    if found is None:
        await _make(connection, wanted)
        found = await _config(connection, wanted.name)  # another gateway may have made it
        if found is None:
            raise Unavailable(f"{wanted.name}: was made, and is not there yet")
    different = differences(wanted.config, found)
    ours = {difference.setting for difference in different} & wanted.adjustable
    if ours and len(ours) == len(different):
        return await _adjust(connection, wanted, found, ours)
    if different:
        raise ForeignStream(wanted.name, connection.address, different)
    return found


async def _make(connection: Connection, wanted: Wanted) -> None:
    try:
        await _ask(connection, "CREATE", wanted.name, wanted.config)
    except APIError as error:
        if error.err_code == _NAME_IN_USE:  # by now: what it is like is looked at next
            return
        raise _cannot_be(connection, wanted, error) from None
    logger.debug("nats.stream_made", stream=wanted.name)


async def _adjust(
    connection: Connection, wanted: Wanted, found: Mapping[str, Any], settings: set[str]
) -> Mapping[str, Any]:
    changes = {setting: wanted.config[setting] for setting in settings}
    if changes.get("num_replicas", 0) < found["num_replicas"] and "num_replicas" in changes:
        # Somebody made it safer than our settings say; that is not for a gateway that starts to undo.
        logger.warning(
            "nats.more_replicas", stream=wanted.name, wanted=changes.pop("num_replicas"), found=found["num_replicas"]
        )
    if not changes:
        return found
    before = {setting: found.get(setting) for setting in changes}
    try:
        await _ask(connection, "UPDATE", wanted.name, {**found, **changes})
    except APIError as error:
        raise _cannot_be(connection, wanted, error) from None
    logger.warning("nats.stream_changed", stream=wanted.name, before=before, now=changes)
    return await _config(connection, wanted.name) or found


def _cannot_be(connection: Connection, wanted: Wanted, error: APIError) -> SettingsError:
    if error.err_code in _TOO_FEW_SERVERS:
        return SettingsError(
            f"nats_replicas: NATS at {connection.address} cannot keep {wanted.config['num_replicas']} replicas: "
            f"{error.description}; give fewer, or join more servers"
        )
    if error.err_code == _OVERLAP:
        subjects = ", ".join(wanted.config["subjects"])
        return SettingsError(
            f"another stream of NATS at {connection.address} takes {subjects} already; "
            "choose another name with the setting `cluster`"
        )
    return SettingsError(
        f"the stream {wanted.name} cannot be kept by NATS at {connection.address}: {error.description}"
    )


async def _config(connection: Connection, stream: str) -> dict[str, Any] | None:
    try:
        config: dict[str, Any] = (await _ask(connection, "INFO", stream))["config"]
    except APIError as error:
        if error.err_code == _NOT_FOUND:
            return None
        raise
    return config


async def _ask(
    connection: Connection, verb: str, stream: str, config: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Ask JetStream, in its own words: the library's types drop settings they do not know."""
    payload = orjson.dumps(config) if config is not None else b""
    with asking(stream):
        answer = await connection.nats.request(f"$JS.API.STREAM.{verb}.{stream}", payload, timeout=ANSWER_S)
        told: dict[str, Any] = orjson.loads(answer.data)
        if "error" in told:
            if told["error"].get("err_code") in _TOO_FEW_SERVERS:  # a 500, though it is for good
                raise APIError(**told["error"])
            raise APIError.from_error(told["error"])
    return told
