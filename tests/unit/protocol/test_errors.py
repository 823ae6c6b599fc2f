"""Every error code has one HTTP status and one shape."""

from http import HTTPStatus

import pytest

from protocol.errors import HTTP_STATUS, ErrorCode, Problem, ProtocolError


def test_every_code_answers_with_an_error_status() -> None:
    assert set(HTTP_STATUS) == set(ErrorCode)
    assert all(400 <= status <= 599 for status in HTTP_STATUS.values())


@pytest.mark.parametrize("code", ErrorCode)
def test_problem_document_names_the_code_and_the_place(code: ErrorCode) -> None:
    problem = ProtocolError(code, "what was wrong", "$.params.steps").problem()
    assert Problem.model_validate_json(problem.model_dump_json()) == problem
    assert problem.status == HTTP_STATUS[code]
    assert problem.title == HTTPStatus(problem.status).phrase
    assert problem.code is code
    assert problem.detail == "what was wrong"
    assert problem.field == "$.params.steps"
    assert problem.type.endswith(str(code))


def test_error_body_carries_the_same_code_and_message() -> None:
    body = ProtocolError(ErrorCode.BAD_IMAGE, "not a picture", "$.params.image").body()
    assert body.model_dump(mode="json") == {
        "code": "bad_image",
        "message": "not a picture",
        "field": "$.params.image",
    }
