"""Every parameter takes its lowest and highest value and refuses what lies beside, naming field and range."""

import math
import re
from typing import Any

import pytest
from pydantic import ValidationError

from protocol.errors import ErrorCode, ProtocolError
from protocol.params import MAX_SIDE_PX
from protocol.requests import TASKS, JobRequest, Previews, Priority, TaskName, parse_job_request

IMAGE = "aGVsbG8="
REGION = {"x": 0, "y": 0, "width": 1, "height": 1}
POINT = {"x": 0, "y": 0}

LEAST: dict[str, dict[str, Any]] = {
    "erase": {"image": IMAGE, "mask": IMAGE},
    "remove_text": {"image": IMAGE},
    "upscale": {"image": IMAGE},
    "remove_background": {"image": IMAGE},
    "segment": {"image": IMAGE, "points": [POINT]},
    "adjust_mask": {"mask": IMAGE, "operation": "expand"},
    "restore_face": {"image": IMAGE},
    "describe": {"image": IMAGE},
    "text_to_image": {"prompt": "a cat"},
    "image_to_image": {"prompt": "a cat", "image": IMAGE},
    "inpaint": {"prompt": "a cat", "image": IMAGE, "mask": IMAGE},
    "outpaint": {"prompt": "a cat", "image": IMAGE, "left": 8, "right": 8},
    "enhance": {"prompt": "a cat", "image": IMAGE, "enhance": {"regions": [{"text": "face"}]}},
    "load_model": {"model": "spark"},
    "test_pattern": {},
}
"""Task -> the fewest parameters it accepts."""

GENERATION: dict[str, tuple[int | float, int | float]] = {
    "quality": (1, 100),
    "images": (1, 64),
    "steps": (1, 500),
    "guidance_scale": (0.0, 100.0),
    "eta": (0.0, 1.0),
    "seed": (0, 2**63 - 1),
    "clip_skip": (-1, 11),
    "preview_px": (32, 1024),
    "refiner_start": (0.01, 0.99),
    "sharpness": (0.0, 30.0),
    "adaptive_guidance": (1.0, 30.0),
    "control_softness": (0.0, 1.0),
}
RANGES: dict[str, dict[str, tuple[int | float, int | float]]] = {
    "erase": {
        "quality": (1, 100),
        "grow_px": (0, 256),
        "feather_px": (0, 256),
        "seed": (0, 2**32 - 1),
        "hd_crop_trigger_px": (0, 16_384),
        "hd_crop_margin_px": (0, 16_384),
        "hd_resize_limit_px": (1, 16_384),
        "fill_radius_px": (0, 100),
        "ldm_steps": (1, 1000),
    },
    "remove_text": {
        "feather_px": (0, 256),
        "quality": (1, 100),
        "min_confidence": (0.0, 1.0),
        "grow_px": (0, 256),
        "seed": (0, 2**32 - 1),
    },
    "upscale": {"quality": (1, 100), "factor": (0.05, 8.0), "tile_px": (32, 2048)},
    "remove_background": {"quality": (1, 100)},
    "segment": {
        "count": (1, 3),
        "box_threshold": (0.0, 1.0),
        "text_threshold": (0.0, 1.0),
        "max_detections": (0, 100),
        "grow_box_px": (-256, 256),
    },
    "adjust_mask": {"by_px": (0, 256), "threshold": (0, 255)},
    "restore_face": {"quality": (1, 100), "min_confidence": (0.05, 1.0)},
    "describe": {"max_tags": (1, 100), "seed": (0, 2**32 - 1)},
    "text_to_image": {**GENERATION, "width": (16, 4096), "height": (16, 4096)},
    "image_to_image": {
        **GENERATION,
        "width": (16, 4096),
        "height": (16, 4096),
        "strength": (0.0, 1.0),
        "upscale": (1.0, 8.0),
        "image_guidance_scale": (1.0, 100.0),
    },
    "inpaint": {
        **GENERATION,
        "strength": (0.0, 1.0),
        "left": (0, 4096),
        "top": (0, 4096),
        "right": (0, 4096),
        "bottom": (0, 4096),
        "context": (0.0, 1.0),
        "image_guidance_scale": (1.0, 100.0),
        "fitting_degree": (0.0, 1.0),
        "grow_px": (-256, 256),
        "mask_blur_px": (0, 256),
        "crop_margin_px": (0, 16_384),
        "scale": (0.05, 1.0),
    },
    "outpaint": {
        **GENERATION,
        "left": (0, 4096),
        "top": (0, 4096),
        "right": (0, 4096),
        "bottom": (0, 4096),
        "strength": (0.0, 1.0),
        "overlap_px": (0, 256),
        "fitting_degree": (0.0, 1.0),
    },
    "enhance": GENERATION,
    "load_model": {},
    "test_pattern": {
        "quality": (1, 100),
        "width": (8, 4096),
        "height": (8, 4096),
        "images": (1, 64),
        "steps": (0, 1000),
        "step_ms": (0, 10_000),
        "seed": (0, 2**32 - 1),
        "fail_at_step": (1, 1000),
    },
}
"""Task -> field -> lowest and highest value, as documented."""

CASES = [(task, field, low, high) for task, fields in RANGES.items() for field, (low, high) in fields.items()]


def read(task: str, **params: Any) -> JobRequest:
    return parse_job_request({"task": task, "params": LEAST[task] | params})


def refusal(value: object) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        parse_job_request(value)
    return caught.value


def beside(low: float, high: float) -> list[int | float]:
    if isinstance(low, float):
        return [math.nextafter(low, -math.inf), math.nextafter(high, math.inf)]
    return [low - 1, high + 1]


def test_every_task_and_every_number_is_tried_here() -> None:
    assert set(LEAST) == set(RANGES) == set(TaskName) == set(TASKS)
    for task, spec in TASKS.items():
        numbers = {
            name
            for name, schema in spec.params.model_json_schema()["properties"].items()
            if {"integer", "number"} & {choice.get("type") for choice in [schema, *schema.get("anyOf", [])]}
        }
        assert numbers == set(RANGES[task])


@pytest.mark.parametrize(("task", "field", "low", "high"), CASES)
def test_both_ends_of_a_range_are_accepted(task: str, field: str, low: float, high: float) -> None:
    for value in (low, high):
        assert getattr(read(task, **{field: value}).params, field) == value


@pytest.mark.parametrize(("task", "field", "low", "high"), CASES)
def test_value_beside_a_range_is_refused_by_name_with_the_whole_range(
    task: str, field: str, low: float, high: float
) -> None:
    for value in beside(low, high):
        error = refusal({"task": task, "params": LEAST[task] | {field: value}})
        assert error.code is ErrorCode.INVALID_PARAMS
        assert error.field == f"$.params.{field}"
        least, most = (f"{bound:.12g}" if isinstance(bound, float) else str(bound) for bound in (low, high))
        assert error.message == f"{field}: expected {least}..{most}, got {value} at $.params.{field}"


@pytest.mark.parametrize(("task", "field", "low", "high"), CASES)
@pytest.mark.parametrize("value", ["20", True, [], {}, math.nan, math.inf], ids=repr)
def test_number_must_be_a_number(task: str, field: str, low: float, high: float, value: object) -> None:
    error = refusal({"task": task, "params": LEAST[task] | {field: value}})
    assert error.field == f"$.params.{field}"


@pytest.mark.parametrize("task", TaskName)
def test_fewest_parameters_are_enough_and_the_defaults_are_stable(task: TaskName) -> None:
    request = read(task)
    assert (request.priority, request.previews, request.webhook, dict(request.labels)) == (
        Priority.NORMAL,
        Previews.LATEST,
        None,
        {},
    )
    assert request.task is task
    assert type(request.params) is TASKS[task].params
    assert request.is_interactive is TASKS[task].is_interactive
    assert set(TASKS[task].image_fields) <= set(TASKS[task].params.model_fields)


@pytest.mark.parametrize("task", [task for task in TaskName if "image" in LEAST[task]])
def test_missing_image_is_named(task: TaskName) -> None:
    error = refusal({"task": task, "params": {name: v for name, v in LEAST[task].items() if name != "image"}})
    assert error.field == "$.params.image"
    assert "is missing" in error.message


@pytest.mark.parametrize("task", TaskName)
def test_misspelt_parameter_is_refused_and_not_ignored(task: TaskName) -> None:
    error = refusal({"task": task, "params": LEAST[task] | {"stpes": 3}})
    assert (error.code, error.field) == (ErrorCode.INVALID_PARAMS, "$.params.stpes")


def test_unknown_task_is_told_which_tasks_there_are() -> None:
    error = refusal({"task": "sing", "params": {}})
    assert (error.code, error.field) == (ErrorCode.UNKNOWN_TASK, "$.task")
    assert all(task in error.message for task in TaskName)


def test_erase_without_mask_and_regions_says_what_it_needs() -> None:
    assert "mask or at least one region" in refusal({"task": "erase", "params": {"image": IMAGE}}).message
    assert read("erase", mask=None, regions=[REGION])


def test_segment_with_only_excluding_points_says_what_it_needs() -> None:
    point = POINT | {"include": False}
    error = refusal({"task": "segment", "params": {"image": IMAGE, "points": [point]}})
    assert "include true" in error.message
    assert read("segment", points=[point], box=REGION)


@pytest.mark.parametrize(("name", "low"), [("x", -MAX_SIDE_PX), ("y", -MAX_SIDE_PX), ("width", 1), ("height", 1)])
def test_region_sides_have_ranges_and_the_message_names_which_region(name: str, low: int) -> None:
    for value in (low, MAX_SIDE_PX):
        assert read("erase", regions=[REGION | {name: value}])
    for value in (low - 1, MAX_SIDE_PX + 1):
        error = refusal({"task": "erase", "params": {"image": IMAGE, "regions": [REGION, REGION | {name: value}]}})
        assert error.field == f"$.params.regions[1].{name}"
        assert f"expected {low}..{MAX_SIDE_PX}, got {value}" in error.message


@pytest.mark.parametrize(
    ("task", "field", "one", "most"), [("erase", "regions", REGION, 1000), ("segment", "points", POINT, 64)]
)
def test_lists_have_a_longest_length(task: str, field: str, one: object, most: int) -> None:
    assert read(task, **{field: [one] * most})
    error = refusal({"task": task, "params": LEAST[task] | {field: [one] * (most + 1)}})
    assert error.field == f"$.params.{field}"
    assert str(most) in error.message


@pytest.mark.parametrize(
    ("envelope", "field"),
    [
        ([], "$"),
        (None, "$"),
        ("x", "$"),
        ({}, "$.task"),
        ({"task": 5}, "$.task"),
        ({"task": "upscale", "params": []}, "$.params"),
        ({"task": "upscale", "priority": "urgent"}, "$.priority"),
        ({"task": "upscale", "previews": "some"}, "$.previews"),
        ({"task": "upscale", "webhook": "http://localhost"}, "$.webhook"),
        ({"task": "upscale", "webhook": {"url": "ftp://localhost"}}, "$.webhook.url"),
        ({"task": "upscale", "webhook": {"url": "http://localhost", "events": []}}, "$.webhook.events"),
        ({"task": "upscale", "webhook": {"url": "http://localhost", "events": ["x"]}}, "$.webhook.events[0]"),
        ({"task": "upscale", "labels": {"a": 1}}, "$.labels.a"),
        ({"task": "upscale", "labels": {"a": "x" * 257}}, "$.labels.a"),
        ({"task": "upscale", "labels": {str(n): "" for n in range(33)}}, "$.labels"),
        ({"task": "upscale", "prompt": "an apple"}, "$.prompt"),
    ],
    ids=repr,
)
def test_wrong_envelope_is_refused_by_name(envelope: object, field: str) -> None:
    error = refusal(envelope)
    assert (error.code, error.field) == (ErrorCode.INVALID_PARAMS, field)


def test_long_and_strange_names_from_a_client_come_back_cut_and_quoted() -> None:
    error = refusal({"task": "upscale", "params": {"image": IMAGE, "a b" * 1000: 1}})
    assert len(error.message) < 250
    assert re.fullmatch(r"\$\.params\['a ba b.*\.\.\.'\]", error.field or "")
    error = refusal({"task": "upscale", "params": {"image": IMAGE}, "labels": {"k" * 300: ""}})
    assert len(error.message) < 300
    assert "a length of at most 256" in error.message


def test_inline_picture_is_not_quoted_back_in_whole() -> None:
    assert len(refusal({"task": "upscale", "params": {"image": IMAGE, "format": "x" * 1_000_000}}).message) < 250


def test_path_starts_where_the_caller_says() -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_job_request({"task": "upscale", "params": {"image": IMAGE, "factor": 9}}, at="$.job")
    assert caught.value.field == "$.job.params.factor"


def test_request_cannot_be_changed_once_read() -> None:
    request = read("upscale")
    with pytest.raises(ValidationError, match="frozen"):
        request.params.image = "other"  # type: ignore[attr-defined] # the very thing that must not work
    with pytest.raises(ValidationError, match="frozen"):
        request.priority = Priority.HIGH  # type: ignore[misc] # the very thing that must not work


def test_an_enlarged_picture_is_changed_less_unless_a_strength_is_given() -> None:
    assert read("image_to_image").params.strength == 0.75
    assert read("image_to_image", upscale=2.0).params.strength == 0.382
    assert read("image_to_image", upscale=2.0, strength=0.6).params.strength == 0.6


@pytest.mark.parametrize(
    "params",
    [{"upscale": 2.0, "width": 512}, {"upscale": 2.0, "size_rule": "model"}, {"height": 64, "size_rule": "model"}],
)
def test_a_picture_has_one_size(params: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="needs one of width and height, upscale, and size_rule"):
        read("image_to_image", **params)


def test_weights_to_enlarge_with_need_a_factor() -> None:
    with pytest.raises(ProtocolError, match="needs an upscale for its upscale_model"):
        read("image_to_image", upscale_model="compact")


def test_a_side_is_enough_to_repaint() -> None:
    bare = {"prompt": "a cat", "image": IMAGE}
    assert parse_job_request({"task": "inpaint", "params": {**bare, "top": 1}}).params.top == 1
    with pytest.raises(ProtocolError, match="needs a mask, at least one region, or one of left, top, right and bottom"):
        parse_job_request({"task": "inpaint", "params": bare})


@pytest.mark.parametrize("params", [{"left": 1}, {"context": 0.5}])
def test_an_area_is_all_the_model_sees(params: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="needs no area beside a context or a side above 0"):
        read("inpaint", area={"x": 0, "y": 0, "width": 8, "height": 8}, **params)
