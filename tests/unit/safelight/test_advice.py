from protocol.errors import ErrorCode
from safelight.advice import advice_for

SAYS_IT_ALL = {
    ErrorCode.MALFORMED, ErrorCode.INVALID_PARAMS, ErrorCode.UNKNOWN_TASK, ErrorCode.BAD_IMAGE,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE, ErrorCode.NOT_ACCEPTABLE, ErrorCode.METHOD_NOT_ALLOWED,
    ErrorCode.IDEMPOTENCY_MISMATCH, ErrorCode.FOREIGN_ORIGIN, ErrorCode.ALREADY_ENDED, ErrorCode.CURSOR_EXPIRED,
    ErrorCode.MODEL_EXISTS, ErrorCode.NOT_ENDED,
}  # fmt: skip
"""Codes whose message names the mistake and what is allowed."""


def test_every_error_says_what_to_do_unless_its_message_does() -> None:
    assert {code for code in ErrorCode if not advice_for(code)} == SAYS_IT_ALL


def test_an_error_of_a_newer_server_has_no_advice() -> None:
    assert advice_for("quantum_flux") == ""
