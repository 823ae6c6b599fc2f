"""Every recording of IOPaint's REST interface, sent to our server; what is answered otherwise on purpose says why."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from PIL import Image

from tests.dialects.golden import ERROR_KEYS, Case, cases, differences, send
from tests.servers import thread_server


@dataclass(frozen=True)
class Deviation:
    """An answer that is not the recorded one, on purpose.

    Attributes:
        status: ours.
        why: also a row of docs/dialects/iopaint.md.
        ignoring: what of the recorded answer does not count; only with the recorded status.
    """

    status: int
    why: str
    ignoring: tuple[str, ...] = ()


CLIENT_FAULT: Final = "a mistake of the caller is a 4xx"
NO_POISON: Final = "a bad model name changes nothing"
ALPHA: Final = "transparency is kept, however the file holds it"
MASK_ALPHA: Final = "a mask of one colour says by its transparency what it covers, which masked everything there"
OWN_MODELS: Final = "models and plugins are those of this server"

DEVIATIONS: Final = {
    "inpaint_errors/image_missing": Deviation(400, CLIENT_FAULT),
    "inpaint_errors/both_missing": Deviation(400, CLIENT_FAULT),
    "inpaint_errors/image_empty_string": Deviation(400, CLIENT_FAULT),
    "inpaint_errors/image_bad_chars_only": Deviation(400, CLIENT_FAULT),
    "inpaint_errors/image_not_an_image": Deviation(400, CLIENT_FAULT),
    "inpaint_errors/image_truncated_jpeg": Deviation(400, CLIENT_FAULT),
    "inpaint_errors/image_data_url_no_base64_marker": Deviation(400, CLIENT_FAULT),
    "inpaint_errors/model_unknown": Deviation(404, CLIENT_FAULT),
    "inpaint_errors/model_known_but_not_downloaded": Deviation(404, CLIENT_FAULT),
    "inpaint_errors/model_after_bad_switch": Deviation(200, NO_POISON),
    "inpaint_errors/inpaint_after_bad_switch": Deviation(200, NO_POISON),
    "masks_plugins_files/gen_info_not_image": Deviation(400, CLIENT_FAULT),
    "inpaint_formats/png_la": Deviation(200, ALPHA, ("alpha",)),
    "inpaint_formats/png_rgb_trns": Deviation(200, ALPHA, ("alpha",)),
    "inpaint_ok/mask_alpha_only_white": Deviation(200, MASK_ALPHA, ("pixels",)),
    "config/server_config": Deviation(
        200,
        OWN_MODELS,
        ("modelInfos", "removeBGModel", "interactiveSegModel"),
    ),
}
"""By file and name of the case."""

OF_PROFILES: Final = ("root_html",)
"""Cases of `config` that need a folder: see below."""

PLAIN: Final = [
    case
    for case in cases("iopaint", "config", "inpaint_ok", "inpaint_formats", "inpaint_errors", "masks_plugins_files")
    if case.name not in OF_PROFILES
]


def check(case: Case, answer: httpx.Response) -> None:
    deviation = DEVIATIONS.get(str(case))
    if deviation is None:
        assert differences(case, answer) == []
        return
    assert answer.status_code == deviation.status, answer.text[:300]
    if deviation.status >= 400:
        assert set(answer.json()) == ERROR_KEYS
        assert answer.json()["errors"]
    elif case.status == deviation.status:
        assert differences(case, answer, ignoring=deviation.ignoring) == []
        assert differences(case, answer) != [], "no longer a deviation: take it out of the table"


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_a_recorded_request_is_answered_as_recorded(client: httpx.Client, case: Case) -> None:
    changes: dict[str, Any] | None = None
    if case.name == "large_100Mpx_ok_then_mismatch":
        buffer = io.BytesIO()
        Image.new("1", (10_000, 10_000)).save(buffer, "PNG")
        small = next(other for other in PLAIN if str(other) == "inpaint_ok/plain")
        changes = {"image": base64.b64encode(buffer.getvalue()).decode(), "mask": small.request["json"]["mask"]}
    check(case, send(client, case, changes))


def test_every_deviation_belongs_to_a_recording() -> None:
    assert {str(case) for case in PLAIN} >= set(DEVIATIONS)


def test_every_row_of_the_recorded_errors_is_a_4xx_with_a_reason(client: httpx.Client) -> None:
    faults = [case for case in PLAIN if case.status >= 500 and DEVIATIONS[str(case)].why == CLIENT_FAULT]
    assert len(faults) > 8
    for case in faults:
        answer = send(client, case)
        assert 400 <= answer.status_code < 500, case
        assert set(answer.json()) == ERROR_KEYS, case


def test_a_list_of_mistakes_comes_with_the_words_that_the_page_shows(client: httpx.Client) -> None:
    """The original leaves three of the four keys out there, and its page says "undefined"."""
    lists = [case for case in PLAIN if case.status == 422 and isinstance(case.response["body_json"]["detail"], list)]
    assert len(lists) > 8
    for case in lists:
        answer = send(client, case).json()
        assert set(answer) == ERROR_KEYS, case
        assert answer["errors"].startswith("422: "), case
        assert answer["detail"][0]["msg"] in answer["errors"], case


def test_the_input_picture_is_given_as_it_is(tmp_path: Path, photograph: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(photograph)
    (case,) = cases("iopaint", "input_file")
    with thread_server(tmp_path / "data", iopaint_input=tmp_path / "a.jpg") as server, server.client() as client:
        answer = send(client, case)
        assert differences(case, answer) == []
        assert answer.content == photograph


def test_the_page_is_that_of_the_folder_the_operator_names(tmp_path: Path) -> None:
    """Only status and media type of the recording count: the page itself is not part of this repository."""
    (case,) = [case for case in cases("iopaint", "config") if case.name == "root_html"]
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "index.html").write_text("<!doctype html><title>theirs</title>")
    with (
        thread_server(tmp_path / "data", listen="0=iopaint", iopaint_web_dir=tmp_path / "web") as server,
        server.client() as client,
    ):
        answer = send(client, case)
        assert differences(case, answer) == []
        assert "theirs" in answer.text


def test_the_file_manager_answers_as_recorded(media: Path) -> None:
    with (
        thread_server(
            media / "data",
            iopaint_input=media / "in",
            iopaint_mask_dir=media / "masks",
            iopaint_output_dir=media / "out",
        ) as server,
        server.client() as client,
    ):
        for case in cases("iopaint", "file_manager"):
            if case.name == "media_file_traversal":
                continue  # see below
            if case.name == "medias_output_after_save":  # the recording had one more, saved under a name with a path
                saved = client.post("/api/v1/save_image", files={"file": ("../../evil.png", _png(), "image/png")})
                assert saved.status_code == 200
            answer = send(client, case)
            assert differences(case, answer) == [], case


def test_a_name_with_a_path_in_it_reads_nothing(media: Path) -> None:
    """The original hands out any file its process can read."""
    (case,) = [case for case in cases("iopaint", "file_manager") if case.name == "media_file_traversal"]
    with (
        thread_server(media / "data", iopaint_input=media / "in", iopaint_output_dir=media / "out") as server,
        server.client() as client,
    ):
        answer = send(client, case)
        assert answer.status_code == 404
        assert set(answer.json()) == ERROR_KEYS
        assert str(media) not in answer.text


def _png() -> bytes:
    (case,) = [case for case in cases("iopaint", "file_manager") if case.name == "save_image"]
    return base64.b64decode(case.request["multipart"]["data_base64"])
