"""Arrays in a prompt: which item each image gets."""

from engine.prompting.arrays import pick_items


def picked(text: str, images: int) -> list[str]:
    return [pick_items(text, image) for image in range(images)]


def test_image_i_gets_item_i_and_after_the_last_the_first_again() -> None:
    assert picked("a [[red,green,blue]] ball", 4) == ["a red ball", "a green ball", "a blue ball", "a red ball"]


def test_of_several_arrays_the_first_changes_fastest() -> None:
    assert picked("[[a,b]][[1,2]]", 5) == ["a1", "b1", "a2", "b2", "a1"]


def test_items_are_not_trimmed_and_may_be_empty() -> None:
    assert picked("x[[ a,, b ]]x", 3) == ["x ax", "xx", "x b x"]


def test_an_array_of_one_item_is_that_item_for_every_image() -> None:
    assert picked("[[a]]", 2) == ["a", "a"]


def test_single_brackets_and_open_ones_are_text() -> None:
    text = "[a,b] and [[a,b"
    assert pick_items(text, 1) == text
