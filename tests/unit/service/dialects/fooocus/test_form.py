"""Forms as FastAPI reads them: what is empty was not sent, and what cannot be read is told of."""

import asyncio

import pytest
from starlette.requests import Request

from protocol.errors import ErrorCode, ProtocolError
from service.dialects.fastapi_errors import InvalidRequest
from service.dialects.fooocus.form import Form, form_of
from tests.unit.service.dialects.sent import form, sent

NAMED = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na cat\r\n--b--\r\n'


def read(request: Request) -> Form:
    return asyncio.run(form_of(request))


def test_texts_are_kept_in_their_order_as_often_as_they_were_sent() -> None:
    made = read(form({"style": ["two", "one"], "prompt": "a cat"}, {"image": b"pixels"}))
    assert made.texts == {"style": ["two", "one"], "prompt": ["a cat"]}
    assert made.files == {"image": b"pixels"}


def test_what_is_empty_was_not_sent() -> None:
    made = read(form({"prompt": "", "style": ["", "one"]}, {"image": ("a.png", b""), "mask": ("b.png", b"pixels")}))
    assert made.texts == {"style": ["one"]}
    assert list(made.files) == ["mask"]


def test_of_files_with_one_name_the_last_counts() -> None:
    assert read(form(files=[("image", b"first"), ("image", b"last")])).files == {"image": b"last"}


def test_a_form_may_be_url_encoded() -> None:
    assert read(form({"prompt": "a cat", "style": ["one", "two"]})).texts == {
        "prompt": ["a cat"],
        "style": ["one", "two"],
    }


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("Multipart/Form-Data; boundary=b", NAMED),
        ("APPLICATION/X-WWW-FORM-URLENCODED; charset=utf-8", b"prompt=a+cat"),
    ],
)
def test_a_media_type_may_be_written_in_capitals(content_type: str, body: bytes) -> None:
    assert read(sent(body, content_type)).texts == {"prompt": ["a cat"]}


@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain"])
def test_a_askedthat_is_no_form_has_no_fields(content_type: str) -> None:
    assert read(sent(b"prompt=a+cat", content_type)) == Form({}, {})


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", NAMED),
        ("multipart/form-data; boundary=b", b"--other\r\n\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\na cat\r\n--b--\r\n"),
    ],
)
def test_a_form_that_cannot_be_read_is_a_mistake_of_the_body(content_type: str, body: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(sent(body, content_type))
    (detail,) = refused.value.errors
    assert (detail["type"], detail["loc"]) == ("form_invalid", ["body"])
    assert str(detail["msg"]).startswith("Form cannot be read: ")


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        (form(files={f"file{number}": b"x" for number in range(17)}), "files"),
        (form({f"field{number}": "x" for number in range(301)}, {"image": b"x"}), "fields"),
        (form({"prompt": "x" * ((1 << 20) + 1)}, {"image": b"x"}, max_bytes=1 << 22), "size"),
    ],
    ids=["files", "fields", "longest"],
)
def test_a_form_of_too_much_is_refused_before_all_of_it_is_kept(asked: Request, what: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(asked)
    assert what in str(refused.value.errors[0]["msg"])


def test_a_form_larger_than_the_server_takes_is_refused() -> None:
    with pytest.raises(ProtocolError) as refused:
        read(form(files={"image": b"x" * 2000}, max_bytes=1000))
    assert refused.value.code is ErrorCode.TOO_LARGE


def test_a_form_is_shown_with_lists_only_where_a_field_came_more_than_once() -> None:
    made = read(form({"style": ["one", "two"], "prompt": "a cat"}, {"image": b"pixels"}))
    assert made.echo() == {"style": ["one", "two"], "prompt": "a cat"}
