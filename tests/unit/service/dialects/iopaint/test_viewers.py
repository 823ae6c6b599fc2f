"""Whose connection hears of a request: of a cookie, of a name, of the only one it could be, and of nobody otherwise."""

import dataclasses

import pytest
from starlette.datastructures import Headers

from service.dialects.iopaint.viewers import Caller, Viewers, token_of

TOKEN, OTHER_TOKEN = "a" * 22, "b" * 22
PAGE = Caller("local", TOKEN, "10.0.0.1", "Mozilla/5.0 Firefox", "http://box")
SCRIPT = Caller("local", None, "10.0.0.1", "python-requests/2")


def viewers(**connections: Caller) -> Viewers:
    found = Viewers()
    for name, caller in connections.items():
        found.add(name, caller)
    return found


def hears(found: Viewers, caller: Caller) -> set[str]:
    return set(found.tied(caller) or found.guessed(caller))


def test_cookie_finds_every_connection_of_its_browser_and_no_other() -> None:
    other = dataclasses.replace(PAGE, token=OTHER_TOKEN)
    assert hears(viewers(one=PAGE, two=PAGE, other=other, script=SCRIPT), PAGE) == {"one", "two"}


def test_name_finds_its_connection_whatever_else_is_there() -> None:
    found = viewers(one=SCRIPT, two=SCRIPT)
    assert hears(found, dataclasses.replace(SCRIPT, names="two")) == {"two"}
    assert hears(found, dataclasses.replace(SCRIPT, names="gone")) == set()


def test_script_is_told_if_it_is_the_only_connection() -> None:
    assert hears(viewers(only=SCRIPT), SCRIPT) == {"only"}
    assert hears(viewers(only=SCRIPT, page=PAGE), SCRIPT) == {"only"}
    assert hears(viewers(one=SCRIPT, two=SCRIPT), SCRIPT) == set()


def test_browser_that_keeps_no_cookies_is_told_if_it_is_the_only_one() -> None:
    bare = dataclasses.replace(PAGE, token=None)
    assert hears(viewers(only=bare), bare) == {"only"}
    assert hears(viewers(only=bare), PAGE) == {"only"}  # its request has a cookie that its socket did not send


@pytest.mark.parametrize(
    "difference",
    [{"address": "10.0.0.2"}, {"agent": "Mozilla/5.0 Chrome"}, {"agent": "curl/8"}, {"origin": "http://elsewhere"}],
    ids=lambda difference: next(iter(difference)),
)
def test_connection_that_says_that_it_is_another_is_not_told(difference: dict[str, str]) -> None:
    bare = dataclasses.replace(PAGE, token=None)
    assert hears(viewers(only=dataclasses.replace(bare, **difference)), bare) == set()


def test_two_programs_may_call_themselves_differently() -> None:
    assert hears(viewers(only=dataclasses.replace(SCRIPT, agent="")), SCRIPT) == {"only"}


@pytest.mark.parametrize("caller", [PAGE, SCRIPT, dataclasses.replace(SCRIPT, names="only")])
def test_connection_of_another_key_is_never_told(caller: Caller) -> None:
    assert hears(viewers(only=dataclasses.replace(caller, key_id="another")), caller) == set()


def test_connection_that_shows_a_cookie_later_is_its_browsers() -> None:
    found = viewers(one=dataclasses.replace(PAGE, token=None), two=dataclasses.replace(PAGE, token=None))
    assert hears(found, PAGE) == set()
    found.recognise("one", TOKEN)
    found.recognise("gone", TOKEN)
    assert hears(found, PAGE) == {"one"}
    found.recognise("one", OTHER_TOKEN)
    assert hears(found, PAGE) == {"one"}
    found.remove("one")
    assert len(found) == 1
    assert hears(found, PAGE) == {"two"}


@pytest.mark.parametrize(
    ("cookies", "token"),
    [
        (f"safelight_viewer={TOKEN}", TOKEN),
        (f"a=b; safelight_viewer={TOKEN}; c=d", TOKEN),
        ("safelight_viewer=short", None),
        (f"safelight_viewer={'x' * 65}", None),
        ("safelight_viewer=" + "é" * 22, None),
        (f"other={TOKEN}", None),
        ("", None),
        ("=;;=", None),
    ],
)
def test_token_is_taken_only_from_a_cookie_that_could_be_ours(cookies: str, token: str | None) -> None:
    assert token_of(Headers(raw=[(b"cookie", cookies.encode("utf-8"))])) == token
