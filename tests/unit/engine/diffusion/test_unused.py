"""What a pipeline has no place for is told, and nothing that it has, or that nobody asked for."""

from typing import Any, Final

import pytest

from engine.diffusion.unused import tell_unused
from protocol.generation import ImageToImageParams

ALL: Final = {"num_inference_steps", "guidance_scale", "eta", "strength"}
ASKED: Final = {"steps": 3, "guidance_scale": 2.0, "eta": 0.5, "strength": 0.4}


def told(known: set[str], **asked: Any) -> list[str]:
    codes: list[str] = []
    params = ImageToImageParams.model_validate({"prompt": "a cat", "image": "upload:x", **asked})
    tell_unused(params, known, lambda code, _message: codes.append(code))
    return codes


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ("num_inference_steps", "steps_unused"),
        ("guidance_scale", "guidance_scale_unused"),
        ("eta", "eta_unused"),
        ("strength", "strength_unused"),
    ],
)
def test_what_a_pipeline_does_not_take_is_told_once_asked_for(missing: str, code: str) -> None:
    assert told(ALL - {missing}, **ASKED) == [code]
    assert told(ALL - {missing}) == []


def test_a_pipeline_that_takes_all_leaves_nothing_to_tell() -> None:
    assert told(ALL, **ASKED) == []
    assert told(ALL - {"guidance_scale"} | {"true_cfg_scale"}, **ASKED) == []


def test_where_a_refiner_takes_over_means_nothing_without_one() -> None:
    assert told(ALL, refiner_start=0.5) == ["refiner_unused"]
    assert told(ALL, refiner_start=0.5, refiner="any") == []
