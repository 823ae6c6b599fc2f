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


def test_a_task_without_a_picture_takes_the_prompt_in_its_place() -> None:
    options = RunOptions("text_to_image", "a red apple", settings=["seed=7"])
    assert options.params() == {"prompt": "a red apple", "seed": 7}
    assert options.title == "text_to_image a red apple"
    assert options.destination.stem == "a-red-apple-text_to_image"


def test_a_task_with_a_picture_takes_its_prompt_beside_it() -> None:
    options = RunOptions("inpaint", "photos/a.png", regions=["1,2,3,4"], prompt="a cat")
    assert options.params() == {"image": "photos/a.png", "prompt": "a cat", "regions": [(1, 2, 3, 4)]}
    assert options.destination.stem == "a-inpaint"


def test_a_prompt_of_any_letters_makes_a_file_name() -> None:
    assert RunOptions("text_to_image", "../../etc: 一只猫? " + "x" * 99).destination.stem.startswith("etc-一只猫-xxx")
    assert len(RunOptions("text_to_image", "x" * 999).destination.stem) < 80
    assert RunOptions("text_to_image", "???").destination.stem == "text_to_image"
