"""Arbitrary bodies and arbitrary frames: the server answers each, and is none the worse."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from protocol.codec import JSON, MSGPACK, Codec
from protocol.messages import CLIENT_MESSAGES, CLOSE_CODES
from protocol.requests import TASKS
from tests.integration.viewers import Viewer, inline, png
from tests.servers import DEADLINE_S, ThreadServer, thread_server

pytestmark = pytest.mark.usefixtures("quiet_log")

EXAMPLES = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PICTURE = inline(png(4, 4))
TEXT = st.text(max_size=12)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    TEXT,
    st.sampled_from([PICTURE, "upload:x", "job:x/0", "http://127.0.0.1/", "data:,", "high", "all", "png"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=8
)
DOCUMENTED = set(CLOSE_CODES) - {1000, 1012}
PARAMS = st.sampled_from(sorted({name for spec in TASKS.values() for name in spec.params.model_fields}))
# Never the two that would make real work of a chance hit.
CHEAP = {"steps": st.integers(-1, 3), "images": st.integers(-1, 2), "step_ms": st.integers(-1, 1)}
JOBS = st.fixed_dictionaries(
    {},
    optional={
        "task": st.sampled_from([*map(str, TASKS), "paint"]) | SCALARS,
        "params": st.fixed_dictionaries({}, optional=CHEAP | {"image": st.just(PICTURE) | VALUES}) | VALUES
        | st.dictionaries(PARAMS.filter(lambda name: name not in CHEAP), VALUES, max_size=4),
        "priority": st.sampled_from(["high", "low"]) | SCALARS,
        "previews": st.sampled_from(["all", "none"]) | SCALARS,
        "labels": st.dictionaries(TEXT, TEXT | VALUES, max_size=3) | VALUES,
        "webhook": VALUES,
    },
)  # fmt: skip
MESSAGE_FIELDS = sorted({name for message in CLIENT_MESSAGES.values() for name in message.model_fields} - {"type"})
MESSAGES = st.builds(
    lambda kind, fields: {"type": kind, **fields},
    st.sampled_from([*CLIENT_MESSAGES, "reply"]) | SCALARS,
    st.dictionaries(st.sampled_from(MESSAGE_FIELDS) | TEXT, VALUES | JOBS, max_size=4),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    with thread_server(tmp_path_factory.mktemp("fuzz") / "data", max_body_bytes=100_000) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: ThreadServer) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


@EXAMPLES
@given(body=VALUES | JOBS)
def test_any_json_is_accepted_or_refused_with_a_problem(client: httpx.Client, body: Any) -> None:
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    check_answer(client.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"}))


@EXAMPLES
@given(body=st.binary(max_size=200))
def test_any_bytes_are_accepted_or_refused_with_a_problem(client: httpx.Client, body: bytes) -> None:
    check_answer(client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"}))
    check_answer(client.post("/v1/uploads", content=body))


PATHS = ["/v1/jobs", "/v1/jobs/{0}", "/v1/jobs/{0}/events", "/v1/jobs/{0}/outputs/{1}", "/v1/jobs/{0}/preview"]
QUERIES = st.dictionaries(
    st.sampled_from(["after", "n", "limit", "cursor", "status", "task", "previews"]), TEXT | st.integers(), max_size=3
)
HEADERS = st.dictionaries(
    st.sampled_from(["Accept", "Last-Event-ID", "If-None-Match", "Range", "X-API-Key", "Authorization"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), min_size=1, max_size=12),
    max_size=2,
)  # fmt: skip


@EXAMPLES
@given(path=st.sampled_from(PATHS), names=st.tuples(TEXT, TEXT), query=QUERIES, headers=HEADERS)
def test_any_path_query_and_header_is_answered(
    client: httpx.Client, path: str, names: tuple[str, str], query: dict[str, Any], headers: dict[str, str]
) -> None:
    quoted = [httpx.QueryParams({"": name}).__str__()[1:] for name in names]
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = client.get(path.format(*quoted), params=query, headers=encoded)
    assert answer.status_code < 500


def check_answer(answer: httpx.Response) -> None:
    assert answer.status_code in {201, 202} or 400 <= answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["status"] == answer.status_code
        assert problem["detail"]


@pytest.fixture(scope="module", params=[JSON, MSGPACK], ids=["json", "msgpack"])
def speaker(server: ThreadServer, request: pytest.FixtureRequest) -> Iterator["Speaker"]:
    opened = Speaker(server, request.param)
    yield opened
    opened.viewer.cut()


class Speaker:
    """Sends frames on one socket after the other, and sees that each is answered or ends the socket as documented."""

    def __init__(self, server: ThreadServer, codec: Codec) -> None:
        self.codec = codec
        self._server = server
        self.viewer = Viewer(server, codec)

    def send(self, frame: str | bytes) -> None:
        try:
            self.viewer.connection.send(frame)
            assert self.viewer.ask("ping")["ok"]
            for message in self._kept_replies():
                assert message["ok"] or message["error"]["code"] != "internal", message
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code not in DOCUMENTED:
                raise
            self.viewer = Viewer(self._server, self.codec)

    def _kept_replies(self) -> list[dict[str, Any]]:
        return [message for message in self.viewer.forget() if message["type"] == "reply"]


@EXAMPLES
@given(message=MESSAGES | VALUES)
def test_any_message_is_answered(speaker: Speaker, message: Any) -> None:
    if speaker.codec is JSON:
        speaker.send(json.dumps(message))
    else:
        with contextlib.suppress(OverflowError):  # what msgpack cannot say
            speaker.send(msgpack.packb(message))


@EXAMPLES
@given(frame=st.binary(max_size=60) | st.text(max_size=60))
def test_any_frame_is_answered(speaker: Speaker, frame: str | bytes) -> None:
    with contextlib.suppress(UnicodeEncodeError):  # what a text frame cannot hold
        speaker.send(frame)


def test_server_is_none_the_worse(server: ThreadServer, client: httpx.Client) -> None:
    answer = client.post(
        "/v1/jobs", json={"task": "test_pattern", "priority": "high"}, headers={"Prefer": f"wait={3 * DEADLINE_S}"}
    )
    assert answer.json()["status"] == "succeeded"
    assert client.get("/v1/health/ready").json()["ready"]
