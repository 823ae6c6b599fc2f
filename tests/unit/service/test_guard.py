from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from starlette.types import Message, Receive, Scope, Send

from service.guard import Guard
from service.settings import Settings

pytestmark = pytest.mark.anyio
LOCAL_HOST = {"host": "localhost:8765"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Outcome:
    """What came of a request: whether it reached the application, and what was sent."""

    reached: bool = False
    sent: list[Message] = field(default_factory=list)

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def code(self) -> str:
        return orjson.loads(self.sent[1]["body"])["code"]

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.sent[0]["headers"] if key == name.encode()]
        return ", ".join(value.decode() for value in values) or None


async def call(
    headers: Mapping[str, str] | list[tuple[str, str]],
    *,
    method: str = "GET",
    kind: str = "http",
    client: str | None = "127.0.0.1",
    keys: bool = False,
    extensions: Mapping[str, Any] | None = None,
    **settings: object,
) -> Outcome:
    outcome = Outcome()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        outcome.reached = True
        if kind == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"vary", b"Accept")]})
            await send({"type": "http.response.body", "body": b""})

    async def send(message: Message) -> None:
        outcome.sent.append(message)

    async def receive() -> Message:
        return {"type": f"{kind}.connect" if kind == "websocket" else "http.request"}

    given = headers.items() if isinstance(headers, Mapping) else headers
    scope: dict[str, Any] = {
        "type": kind,
        "path": "/v1/jobs",
        "headers": [(name.encode(), value.encode()) for name, value in given],
        "client": None if client is None else (client, 1234),
        "extensions": dict(extensions or {}),
    }
    if kind == "http":
        scope["method"] = method
    chosen = Settings.model_validate({**Settings().model_dump(), **settings})
    await Guard(application, chosen, lambda: keys)(scope, receive, send)
    return outcome


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8765", "LOCALHOST", "localhost.", "127.0.0.1:1", "127.9.9.9", "[::1]", "[::1]:8765"],
)
async def test_a_keyless_server_answers_to_every_name_of_its_own_machine(host: str) -> None:
    assert (await call({"host": host})).reached


@pytest.mark.parametrize(
    "host",
    ["evil.test", "evil.test:8765", "localhost.evil.test", "127.0.0.1.evil.test", "8.8.8.8", "0.0.0.0", "[::2]", "",
     "a@localhost", "localhost:x", "[::1", "localhost/evil", "localhost evil"],
)  # fmt: skip
async def test_a_keyless_server_does_not_answer_to_a_name_a_page_could_point_at_it(host: str) -> None:
    outcome = await call({"host": host})
    assert not outcome.reached
    assert (outcome.status, outcome.code) == (421, "unknown_host")


async def test_a_request_without_a_host_or_with_two_is_refused() -> None:
    assert (await call({})).status == 421
    assert (await call([("host", "localhost"), ("host", "localhost")])).status == 421


async def test_allowed_hosts_and_the_bound_address_are_answered_too() -> None:
    assert (await call({"host": "studio.test:8765"}, allowed_hosts=("Studio.test",))).reached
    assert (await call({"host": "192.168.1.5"}, host="192.168.1.5")).reached
    assert (await call({"host": "[fe80::1]"}, host="fe80::1")).reached
    assert (await call({"host": "evil.test"}, allowed_hosts=("*",))).reached
    assert not (await call({"host": "evil.test"}, allowed_hosts=("studio.test",))).reached


@pytest.mark.parametrize("client", ["127.0.0.1", "127.3.3.3", "::1", "::ffff:127.0.0.1", None])
async def test_callers_on_this_machine_need_no_key(client: str | None) -> None:
    assert (await call(LOCAL_HOST, client=client)).reached


@pytest.mark.parametrize("client", ["192.168.1.9", "8.8.8.8", "2001:db8::1", "::ffff:10.0.0.1", "testclient"])
async def test_callers_elsewhere_are_refused_without_keys_unless_the_operator_says_otherwise(client: str) -> None:
    outcome = await call(LOCAL_HOST, client=client)
    assert (outcome.reached, outcome.status, outcome.code) == (False, 403, "forbidden")
    assert (await call(LOCAL_HOST, client=client, allow_anonymous=True)).reached
    assert (await call(LOCAL_HOST, client=client, keys=True)).reached


async def test_an_open_server_answers_to_its_address_but_not_to_a_strangers_name() -> None:
    assert (await call({"host": "192.168.1.5:80"}, client="192.168.1.9", allow_anonymous=True, host="0.0.0.0")).reached
    assert (await call({"host": "evil.test"}, client="192.168.1.9", allow_anonymous=True)).status == 421


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:3000", "http://127.0.0.1", "https://localhost", "http://[::1]:5173", "http://localhost:8765"],
)
async def test_pages_of_this_machine_may_call_and_may_read_the_answer(origin: str) -> None:
    outcome = await call({**LOCAL_HOST, "origin": origin}, method="POST")
    assert outcome.reached
    assert outcome.header("access-control-allow-origin") == origin
    assert "Location" in (outcome.header("access-control-expose-headers") or "")
    assert outcome.header("vary") == "Accept, Origin"


@pytest.mark.parametrize(
    "origin",
    ["https://evil.test", "null", "http://localhost.evil.test", "http://evil.test:8765", "file://", "", "localhost",
     "chrome-extension://abc", "http://localhost@evil.test", "http://127.0.0.1.nip.test"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_pages_of_foreign_origins_do_not_reach_a_keyless_server(origin: str, method: str) -> None:
    outcome = await call({**LOCAL_HOST, "origin": origin}, method=method)
    assert (outcome.reached, outcome.status, outcome.code) == (False, 403, "foreign_origin")
    assert outcome.header("access-control-allow-origin") is None


async def test_a_page_the_server_itself_serves_may_call_it_under_an_allowed_name() -> None:
    headers = {"host": "studio.test:8765", "origin": "http://studio.test:8765"}
    assert (await call(headers, method="POST", allowed_hosts=("studio.test",))).reached
    headers["origin"] = "http://studio.test:9999"
    assert not (await call(headers, method="POST", allowed_hosts=("studio.test",))).reached


async def test_allowed_origins_are_allowed_and_a_star_allows_all() -> None:
    headers = {**LOCAL_HOST, "origin": "https://app.test"}
    assert (await call(headers, method="POST", allowed_origins=("https://APP.test/",))).reached
    assert not (await call(headers, method="POST", allowed_origins=("https://other.test",))).reached
    outcome = await call(headers, method="POST", allowed_origins=("*",))
    assert outcome.header("access-control-allow-origin") == "*"
    assert (await call({**LOCAL_HOST, "origin": "null"}, allowed_origins=("*",))).reached


@pytest.mark.parametrize(("method", "reached"), [("GET", True), ("HEAD", True), ("POST", False), ("DELETE", False)])
async def test_a_cross_site_request_that_hides_its_origin_changes_nothing(method: str, reached: bool) -> None:
    headers = {**LOCAL_HOST, "sec-fetch-site": "cross-site"}
    assert (await call(headers, method=method)).reached is reached
    assert (await call({**LOCAL_HOST, "sec-fetch-site": "none"}, method=method)).reached
    assert (await call(headers, method=method, keys=True)).reached


@pytest.mark.parametrize("keys", [False, True])
async def test_a_preflight_is_answered_without_troubling_the_application(keys: bool) -> None:
    headers = {
        **LOCAL_HOST,
        "origin": "http://localhost:3000",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-api-key",
        "access-control-request-private-network": "true",
    }
    outcome = await call(headers, method="OPTIONS", keys=keys)
    assert (outcome.reached, outcome.status) == (False, 204)
    assert outcome.header("access-control-allow-origin") == "http://localhost:3000"
    assert "DELETE" in (outcome.header("access-control-allow-methods") or "")
    assert outcome.header("access-control-allow-headers") == "content-type,x-api-key"
    assert outcome.header("access-control-allow-private-network") == "true"


async def test_a_foreign_preflight_is_refused_even_with_keys() -> None:
    headers = {**LOCAL_HOST, "origin": "https://evil.test", "access-control-request-method": "POST"}
    assert (await call(headers, method="OPTIONS", keys=True)).status == 403


async def test_with_keys_a_foreign_page_is_let_through_but_may_not_read() -> None:
    outcome = await call({"host": "anything.test", "origin": "https://evil.test"}, method="POST", keys=True)
    assert outcome.reached
    assert outcome.header("access-control-allow-origin") is None
    assert outcome.header("vary") == "Accept, Origin"


async def test_with_keys_the_host_is_checked_only_if_hosts_are_named() -> None:
    assert (await call({"host": "anything.test"}, keys=True)).reached
    assert (await call({"host": "anything.test"}, keys=True, allowed_hosts=("studio.test",))).status == 421


async def test_a_socket_of_a_foreign_page_is_denied_with_an_answer_where_that_is_possible() -> None:
    headers = {**LOCAL_HOST, "origin": "https://evil.test"}
    answered = await call(headers, kind="websocket", extensions={"websocket.http.response": {}})
    assert answered.sent[0]["type"] == "websocket.http.response.start"
    assert answered.status == 403
    closed = await call(headers, kind="websocket")
    assert closed.sent == [{"type": "websocket.close", "code": 1008, "reason": "foreign_origin"}]
    assert not answered.reached
    assert not closed.reached


async def test_a_socket_of_a_local_page_or_of_no_page_is_let_through() -> None:
    assert (await call(LOCAL_HOST, kind="websocket")).reached
    assert (await call({**LOCAL_HOST, "origin": "http://localhost:3000"}, kind="websocket")).reached


async def test_the_lifespan_is_none_of_its_business() -> None:
    assert (await call({}, kind="lifespan")).reached


async def test_an_open_server_with_named_hosts_answers_to_those_alone() -> None:
    settings = {"client": "192.168.1.9", "allow_anonymous": True, "allowed_hosts": ("studio.test",)}
    assert (await call({"host": "studio.test"}, **settings)).reached
    assert (await call({"host": "192.168.1.5"}, **settings)).status == 421
