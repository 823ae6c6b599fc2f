from collections.abc import Callable

import httpx
import pytest

from safelight.address import Address
from safelight.errors import ConnectionLost, RequestRefused, ServerUnreachable, UnexpectedAnswer
from safelight.rest import Rest

pytestmark = pytest.mark.anyio
Answer = Callable[[httpx.Request], httpx.Response]


def rest(answer: Answer, **options: float | None) -> Rest:
    return Rest(Address("http://127.0.0.1:9"), "secret", transport=httpx.MockTransport(answer), **options)


def problem(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"type": "t", "title": "T", "status": status, "detail": "why", "code": code})


class Shaky:
    """Answers the first call, fails the next `failures`, then answers again."""

    def __init__(self, failure: Exception | httpx.Response, failures: int) -> None:
        self.failure = failure
        self.failures = failures
        self.calls = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        if 1 < self.calls <= 1 + self.failures:
            if isinstance(self.failure, Exception):
                raise self.failure
            return self.failure
        return httpx.Response(200, json={"call": self.calls})


async def test_a_problem_document_becomes_a_refusal() -> None:
    with pytest.raises(RequestRefused) as refusal:
        await rest(lambda _: problem(429, "queue_full")).json("GET", "/v1/jobs")
    assert (refusal.value.code, refusal.value.message, refusal.value.status) == ("queue_full", "why", 429)


@pytest.mark.parametrize(
    "failure", [httpx.ConnectError("x"), httpx.ReadError("x"), problem(503, "draining"), httpx.Response(502)]
)
async def test_a_call_is_repeated_while_the_network_fails(failure: Exception | httpx.Response) -> None:
    shaky = Shaky(failure, 2)
    calls = rest(shaky)
    await calls.json("GET", "/v1/jobs")
    assert await calls.json("GET", "/v1/jobs") == {"call": 4}


async def test_patience_ends() -> None:
    calls = rest(Shaky(httpx.ConnectError("cut"), 10**6), patience_s=0.0)
    await calls.json("GET", "/v1/jobs")
    with pytest.raises(ConnectionLost, match="cut"):
        await calls.json("GET", "/v1/jobs")


async def test_a_server_that_never_answered_is_told_at_once() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(ServerUnreachable, match="safelight serve"):
        await rest(fail).json("GET", "/v1/jobs")


@pytest.mark.parametrize("answer", [httpx.Response(404, text="<html>"), httpx.Response(200, text="<html>")])
async def test_another_kind_of_server_is_told_as_such(answer: httpx.Response) -> None:
    with pytest.raises(UnexpectedAnswer, match="is it a Safelight server"):
        await rest(lambda _: answer).json("GET", "/v1/jobs")


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("/v1/jobs/1/outputs/0", "Bearer secret"),
        ("http://127.0.0.1:9/v1/jobs/1/outputs/0", "Bearer secret"),
        ("https://bucket.example.org/0", None),
        ("http://127.0.0.1:99/0", None),
    ],
)
async def test_the_key_goes_to_the_server_and_to_nobody_else(url: str, key: str | None) -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return httpx.Response(200)

    async with rest(answer).stream("GET", url):
        assert seen == [key]
