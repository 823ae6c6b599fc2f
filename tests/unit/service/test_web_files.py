import gzip
import os
from pathlib import Path

import pytest

from service.web_files import WebFile, WebFiles

SCRIPT = "export const words = 'words';\n" * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    web = tmp_path / "web"
    (web / "styles").mkdir(parents=True)
    (web / "node_modules" / "tool").mkdir(parents=True)
    (web / "main.js").write_text(SCRIPT)
    (web / "styles" / "base.css").write_text("body { color: red }")
    (web / "picture.png").write_bytes(bytes(2000))
    (web / ".hidden.js").write_text("hidden")
    (web / "package.json").write_text("{}")
    (web / "node_modules" / "tool" / "index.js").write_text("tool")
    (tmp_path / "secret.js").write_text("secret")
    return web


def found(files: WebFiles, name: str) -> WebFile:
    file = files.find(name)
    assert file is not None
    return file


def test_file_is_packed_once_and_unpacks_to_itself(folder: Path) -> None:
    files = WebFiles(folder)
    script = found(files, "main.js")
    assert script.content == SCRIPT.encode()
    assert script.packed is not None
    assert gzip.decompress(script.packed) == script.content
    assert found(files, "main.js") is script


def test_packed_form_has_a_tag_of_its_own(folder: Path) -> None:
    script = found(WebFiles(folder), "main.js")
    assert script.etag != script.packed_etag
    assert found(WebFiles(folder), "main.js").etag == script.etag


def test_what_packing_does_not_shorten_is_sent_as_it_is(folder: Path) -> None:
    assert found(WebFiles(folder), "picture.png").packed is None  # would be shorter, but pictures usually are not
    (folder / "short.js").write_text("a")
    assert found(WebFiles(folder), "short.js").packed is None


def test_file_that_is_changed_meanwhile_is_sent_as_it_is_now(folder: Path) -> None:
    files = WebFiles(folder)
    before = found(files, "main.js")
    (folder / "main.js").write_text(SCRIPT.replace("words", "signs"))
    os.utime(folder / "main.js", (1, 1))  # of the same size, and perhaps written within one tick of the clock
    after = found(files, "main.js")
    assert after.content == SCRIPT.replace("words", "signs").encode()
    assert after.etag != before.etag


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nope.js",
        "styles",
        "styles/",
        "/main.js",
        "styles//base.css",
        "../secret.js",
        "styles/../../secret.js",
        "styles\\..\\..\\secret.js",
        "./main.js",
        ".hidden.js",
        "package.json",
        "node_modules/tool/index.js",
        "main.js\0",
        "main.JS",
    ],
)
def test_nothing_else_is_served(folder: Path, name: str) -> None:
    assert WebFiles(folder).find(name) is None


def test_scripts_and_styles_have_the_type_browsers_want(folder: Path) -> None:
    files = WebFiles(folder)
    assert found(files, "main.js").media_type == "text/javascript; charset=utf-8"
    assert found(files, "styles/base.css").media_type == "text/css; charset=utf-8"
