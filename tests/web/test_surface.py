"""Each call of the JavaScript client once, against the real server."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import DEADLINE_S, ThreadServer, thread_server
from tests.web.runtimes import Runtime, node

UNITS = Path(__file__).with_name("units")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    with thread_server(tmp_path_factory.mktemp("surface") / "data", shutdown_timeout_s=0.1) as running:
        yield running


def test_the_parts_of_the_client_hold_by_themselves() -> None:
    node()  # skips without it
    command = ["node", "--test", "--test-reporter=tap", *sorted(UNITS.glob("*.test.js"))]
    run = subprocess.run(command, capture_output=True, text=True, timeout=6 * DEADLINE_S)
    assert run.returncode == 0, run.stdout
    assert "# pass 27" in run.stdout


def test_refusals_are_errors_with_their_code(runtime: Runtime, server: ThreadServer) -> None:
    told = runtime.run("surface.refusals", server.url)
    assert (told["field"]["code"], told["field"]["field"]) == ("invalid_params", "$.job.params.steps")
    assert told["task"]["code"] == "unknown_task"
    assert told["failed"] == ["failed", "step_failed"]
    assert told["same"]
    assert told["mismatch"]["code"] == "idempotency_mismatch"
    assert (told["missing"]["code"], told["missing"]["status"]) == ("not_found", 404)
    assert told["status"] == "succeeded"


def test_a_seed_that_no_double_keeps_comes_back_as_it_was(runtime: Runtime, server: ThreadServer) -> None:
    seed = str(2**63 - 1)
    assert runtime.run("surface.largeSeed", server.url, seed=seed) == [seed] * 3


def test_pictures_go_up_feed_jobs_and_come_back_as_asked(runtime: Runtime, server: ThreadServer) -> None:
    told = runtime.run("surface.pictures", server.url)
    assert (told["upload"]["width"], told["upload"]["name"]) == (256, "a.png")
    assert told["sizes"] == [512, 768]
    assert told["webp"] == "image/webp"
    assert 0 < told["small"] < told["full"]
    assert told["uploaded"] == told["sizeBytes"]
    assert told["url"].endswith("/outputs/0?max_side_px=64")
    assert told["archive"] == ["application/zip", list(b"PK")]
    assert "scheme" not in told["recipe"]
    if runtime.name == "chromium":
        assert told["progress"] == [told["sizeBytes"]] * 2


def test_jobs_are_listed_in_pages_filtered_and_forgotten(runtime: Runtime, tmp_path: Path) -> None:
    with thread_server(tmp_path) as server:
        told = runtime.run("surface.listing", server.url)
    newest_first = told["ids"][::-1]
    assert told["pages"] == [newest_first[:2], newest_first[2:]]
    assert told["hasNext"] == [True, False]
    assert told["several"] == 3
    assert told["labelled"] == [told["ids"][1]]
    assert told["running"] == 0
    assert told["forgotten"] == "not_found"


def test_the_server_and_its_models_are_told_of(runtime: Runtime, server: ThreadServer) -> None:
    told = runtime.run("surface.server", server.url)
    assert told["loaded"] == "job.succeeded"
    assert (told["isLoaded"], told["unloaded"]) == (True, "fake")
    assert set(told["kinds"]) == {"checkpoint"}
    assert told["refusedDownload"] in {"invalid_params", "fetch_failed"}
    assert (told["cancelledDownload"], told["noHash"]) == ("not_found", "not_found")
    assert told["presets"] > 0
    assert told["styles"] > 0
    assert told["ready"] is True
    assert (told["live"], bool(told["server"])) == ("ok", True)
    assert told["tasks"] >= 14
    assert (told["steps"], told["hasEnums"]) == (1000, 3)


def test_an_image_is_left_out_while_it_is_made(runtime: Runtime, server: ThreadServer) -> None:
    told = runtime.run("surface.skipped", server.url)
    assert ["image/jpeg", True] in told
    assert [kind for kind, _ in told].count("output.skipped") == 1
    assert [kind for kind, _ in told].count("output.ready") == 2


def test_every_call_can_be_aborted_and_a_closed_client_says_so(runtime: Runtime, server: ThreadServer) -> None:
    told = runtime.run("surface.aborts", server.url)
    assert told["messages"] == ["enough"] * 7 + ["no longer"]
    assert told["closed"] in (["closed", "closed"], ["it had ended", "closed"])


@pytest.mark.parametrize("runtime", ["chromium"], indirect=True)
def test_a_page_of_another_origin_has_the_client_from_the_server(runtime: Runtime, server: ThreadServer) -> None:
    assert runtime.run("surface.fromTheServer", server.url) == "succeeded"


def test_without_the_right_key_a_server_that_wants_one_says_so(runtime: Runtime, tmp_path: Path) -> None:
    with thread_server(tmp_path, api={"keys": ["secret"]}) as server:
        told = runtime.run("surface.keys", server.url, key="secret")
    assert told["codes"] == ["unauthorized"] * 4
    assert told["phases"] == ["refused", "open"]
    assert told["isError"]
    assert told["bytes"] > 0
