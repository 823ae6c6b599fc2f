import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from protocol.messages import CLOSE_CODES
from safelight.errors import RequestRefused, UnexpectedAnswer
from safelight.verdict import of_answer, of_close

FINAL = {1008, 4400, 4401, 4406}


@pytest.mark.parametrize("code", sorted(CLOSE_CODES))
def test_only_refusals_are_final(code: int) -> None:
    verdict = of_close(ConnectionClosedError(Close(code, ""), None))
    assert (verdict.final is not None) is (code in FINAL)
    assert verdict.is_too_big is (code == 1009)
    assert CLOSE_CODES[code] in verdict.reason


def test_a_cut_without_a_close_frame_is_not_final() -> None:
    assert of_close(ConnectionClosedError(None, None)).final is None


@pytest.mark.parametrize(
    ("status", "final"), [(503, None), (429, None), (401, RequestRefused), (404, UnexpectedAnswer)]
)
def test_an_answer_that_is_no_socket_is_judged_by_its_status(status: int, final: type[Exception] | None) -> None:
    verdict = of_answer("ws://x", status, b"")
    assert type(verdict.final) is (final or type(None))


def test_a_problem_document_says_it_in_the_servers_words() -> None:
    body = b'{"code": "unknown_host", "detail": "not my name", "status": 421}'
    final = of_answer("ws://x", 421, body).final
    assert isinstance(final, RequestRefused)
    assert (final.code, final.message, final.status) == ("unknown_host", "not my name", 421)
