"""A history as its reader filters it, over a real socket."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.viewers import finished, submit
from tests.servers import ThreadServer, thread_server

pytestmark = pytest.mark.usefixtures("quiet_log")

PRINT = {"steps": 1, "width": 8, "height": 8}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    with thread_server(tmp_path_factory.mktemp("listing") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def jobs(server: ThreadServer) -> dict[str, str]:
    """What was asked for -> job id: three prompts, a print, one that failed."""
    asked: dict[str, dict[str, Any]] = {
        "apple": {"task": "text_to_image", "params": {"prompt": "A red Apple on a table"}, "labels": {"order": "1"}},
        "pear": {"task": "text_to_image", "params": {"prompt": "a green pear, 100% ripe"}, "labels": {"order": "2"}},
        "苹果": {"task": "text_to_image", "params": {"prompt": "桌上的红苹果"}},
        "print": {"task": "test_pattern", "params": PRINT, "labels": {"order": "1"}},
        "failed": {"task": "test_pattern", "params": PRINT | {"fail_at_step": 1}},
    }
    with server.client() as http:
        ids = {}
        for name, job in asked.items():
            ids[name] = finished(http, submit(http, **job)["id"])["id"]
        return ids


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"status": "failed"}, ["failed"]),
        ({"status": ["failed", "cancelled"]}, ["failed"]),
        ({"status": "failed,succeeded", "task": "test_pattern"}, ["failed", "print"]),
        ({"task": ["text_to_image", "erase"]}, ["苹果", "pear", "apple"]),
        ({"status": "running"}, []),
        ({"q": "apple"}, ["apple"]),
        ({"q": "table RED"}, ["apple"]),
        ({"q": "a"}, ["pear", "apple"]),
        ({"q": "red pear"}, []),
        ({"q": "苹果"}, ["苹果"]),
        ({"q": "0%"}, ["pear"]),
        ({"q": "100_"}, []),
        ({"q": "' OR 1=1 --"}, []),
        ({"q": " "}, ["failed", "print", "苹果", "pear", "apple"]),
        ({"q": "a", "label": "order:2"}, ["pear"]),
        ({"label": "order:1"}, ["print", "apple"]),
        ({"label": "order:"}, []),
        ({"label": "order:1", "status": "succeeded", "task": "test_pattern"}, ["print"]),
        ({"q": "a", "status": "failed"}, []),
    ],
    ids=str,
)
def test_listing_has_what_is_asked_for_newest_first(
    http: httpx.Client, jobs: dict[str, str], query: dict[str, Any], names: list[str]
) -> None:
    listed = http.get("/v1/jobs", params=query).json()
    assert [job["id"] for job in listed["jobs"]] == [jobs[name] for name in names]
    assert "next" not in listed


def test_filtered_listing_goes_on_from_where_its_page_ended(http: httpx.Client, jobs: dict[str, str]) -> None:
    for query in ({"task": "text_to_image"}, {"label": "order:1"}, {"q": "a"}):
        whole = [job["id"] for job in http.get("/v1/jobs", params=query).json()["jobs"]]
        cursor, read = None, []
        while True:
            page = http.get("/v1/jobs", params=query | {"limit": 1} | ({"cursor": cursor} if cursor else {})).json()
            read += [job["id"] for job in page["jobs"]]
            cursor = page.get("next")
            if cursor is None:
                break
        assert read == whole
        assert len(read) > 1
