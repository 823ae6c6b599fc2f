"""Requests read back from the rows of their jobs."""

import orjson

from protocol.generation import TextToImageParams
from protocol.requests import JobRequest, parse_job_request
from service.job_rows import request_from_row


def row_of(request: JobRequest, *, is_old: bool = False) -> dict[str, object]:
    return {
        "task": request.task,
        "params": orjson.dumps(request.params.model_dump(mode="json")).decode(),
        "given": None if is_old else orjson.dumps(sorted(request.params.model_fields_set)).decode(),
        "priority": request.priority,
        "previews": request.previews,
    }


def test_a_request_asks_for_no_more_once_it_is_read_back() -> None:
    request = parse_job_request(
        {"task": "text_to_image", "params": {"prompt": "a red apple", "steps": 4, "refiner_start": 0.8}}
    )
    read = request_from_row(row_of(request))
    assert read == request
    assert read.params.model_fields_set == {"prompt", "steps", "refiner_start"}


def test_a_request_of_a_row_from_before_is_read_with_all_it_says() -> None:
    request = parse_job_request({"task": "text_to_image", "params": {"prompt": "a red apple"}})
    read = request_from_row(row_of(request, is_old=True))
    assert isinstance(read.params, TextToImageParams)
    assert read.params.prompt == "a red apple"
