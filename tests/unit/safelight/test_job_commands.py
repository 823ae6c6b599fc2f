from pathlib import Path

import pytest

from safelight.job_commands import RunOptions, Unusable


def test_options_become_parameters() -> None:
    options = RunOptions(
        "erase", "a.png", "mask.png", regions=["1,2,3,4"], settings=["seed=7", "format=jpeg", "grow_px=0", "x=a=b"]
    )
    assert options.params() == {
        "image": "a.png", "mask": "mask.png", "regions": [(1, 2, 3, 4)],
        "seed": 7, "format": "jpeg", "grow_px": 0, "x": "a=b",
    }  # fmt: skip


def test_the_region_of_segment_is_its_box() -> None:
    options = RunOptions("segment", "a.png", regions=["1,2,3,4"], points=["5,6", "7,8.5,0"])
    assert options.params() == {"image": "a.png", "points": [(5, 6, True), (7, 8.5, False)], "box": (1, 2, 3, 4)}


@pytest.mark.parametrize(
    "options",
    [
        RunOptions("erase", regions=["1,2,3"]),
        RunOptions("erase", regions=["a,b,c,d"]),
        RunOptions("segment", regions=["1,2,3,4", "1,2,3,4"]),
        RunOptions("segment", points=["1"]),
        RunOptions("segment", points=["1,2,maybe"]),
        RunOptions("segment", points=["1,2,1,1"]),
        RunOptions("erase", settings=["seed"]),
        RunOptions("erase", settings=["=7"]),
    ],
)
def test_what_has_the_wrong_form_is_refused(options: RunOptions) -> None:
    with pytest.raises(Unusable, match=r"expected|takes one"):
        options.params()


@pytest.mark.parametrize(
    ("image", "stem"),
    [
        ("photos/cat.jpg", "cat-upscale"),
        ("https://example.org/cat.jpg?size=2", "cat-upscale"),
        ("upload:1", "upscale"),
        (None, "upscale"),
    ],
)
def test_outputs_are_called_after_the_picture_and_the_task(image: str | None, stem: str) -> None:
    assert RunOptions("upscale", image).destination.stem == stem


def test_a_named_output_is_the_destination() -> None:
    assert RunOptions("upscale", output=Path("x.png")).destination.asked == Path("x.png")
