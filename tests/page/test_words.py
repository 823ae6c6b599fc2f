"""The words of the page: in both languages, all there, none left over."""

import re
from pathlib import Path

import pytest

from protocol.errors import ErrorCode
from protocol.jobs import JobStatus
from protocol.requests import TaskName
from tests.servers import REPOSITORY

_WEB = REPOSITORY / "web"
_ENTRY = re.compile(r'"((?:[^"\\]|\\.)+)":\s*"((?:[^"\\]|\\.)*)"')
_LITERAL = re.compile(r"""["'`]([a-z][A-Za-z0-9]*(?:\.[A-Za-z0-9_]+)+)["'`]""")
_TEMPLATE = re.compile(r"`([a-z][A-Za-z0-9]*\.(?:[A-Za-z0-9_]+\.)*)\$\{")
_CALLED = re.compile(r"""\b(?:t|hasWords)\(\s*["']([^"'$]+)["']""")
_PLACE = re.compile(r"\{(\w+)\}")
_LOWER_CASE_WORD = re.compile(r"(?<![\w{.])[a-z]{3,}(?![\w}.])")
_CLIENT_CODES = re.compile(r"CLIENT_ERROR_CODES = Object\.freeze\(\[([^\]]+)\]\)")


def _words(language: str) -> dict[str, str]:
    words: dict[str, str] = {}
    for path in sorted((_WEB / "words" / language).glob("*.js")):
        entries = _ENTRY.findall(path.read_text("utf-8"))
        names = [name for name, _ in entries]
        assert len(names) == len(set(names)), f"{path.name} says something twice"
        assert not words.keys() & set(names), f"{path.name} says what another file says already"
        words |= dict(entries)
    return words


def _sources() -> dict[Path, str]:
    """Everything that may use words; not the words themselves."""
    files = [*_WEB.rglob("*.js"), _WEB / "index.html"]
    own = [path for path in files if not {"words", "client", "node_modules"} & set(path.relative_to(_WEB).parts[:-1])]
    return {path: path.read_text("utf-8") for path in own}


_EN, _ZH = _words("en"), _words("zh")


def test_both_languages_say_the_same_things() -> None:
    assert list(_EN) == list(_ZH)


def test_both_languages_take_the_same_values() -> None:
    different = [key for key in _EN if set(_PLACE.findall(_EN[key])) != set(_PLACE.findall(_ZH.get(key, "")))]
    assert different == []


def test_nothing_was_left_untranslated() -> None:
    same = {key: text for key, text in _EN.items() if _ZH[key] == text and _LOWER_CASE_WORD.search(text)}
    assert same == {}


def test_every_word_the_page_asks_for_is_there() -> None:
    subjects = {key.partition(".")[0] for key in _EN}
    missing: set[str] = set()
    for path, source in _sources().items():
        asked = set(_CALLED.findall(source)) | set(re.findall(r'data-t(?:-label)?="([^"]+)"', source))
        asked |= {name for name in _LITERAL.findall(source) if name.partition(".")[0] in subjects}
        missing |= {f"{path.name}: {name}" for name in asked - _EN.keys()}
    assert missing == set()


def test_every_word_is_asked_for() -> None:
    everything = "\n".join([*_sources().values(), (_WEB / "words" / "words.js").read_text("utf-8")])
    prefixes = tuple(set(_TEMPLATE.findall(everything)))
    unused = [key for key in _EN if not key.startswith(prefixes) and key not in everything]
    assert unused == []


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_of_the_server_has_words(code: ErrorCode) -> None:
    assert f"error.{code.value}" in _EN


def test_every_error_of_the_client_has_words() -> None:
    found = _CLIENT_CODES.search((_WEB / "client" / "errors.js").read_text("utf-8"))
    assert found is not None
    codes = re.findall(r'"(\w+)"', found[1])
    assert codes
    assert [code for code in codes if f"error.{code}" not in _EN] == []


@pytest.mark.parametrize("task", TaskName)
def test_every_task_has_a_name(task: TaskName) -> None:
    assert f"task.{task.value}" in _EN


@pytest.mark.parametrize("status", JobStatus)
def test_every_status_has_a_name(status: JobStatus) -> None:
    assert f"status.{status.value}" in _EN
