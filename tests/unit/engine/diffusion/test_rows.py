"""Arguments of several forwards laid on top of each other, and outputs cut again."""

from collections import namedtuple
from typing import Any

import pytest
import torch
from diffusers.models.controlnets.controlnet import ControlNetOutput
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from torch import Tensor

from engine.diffusion.rows import Arguments, RowsMismatch, join, read_arguments, split


def read(sample: Tensor, **more: Any) -> Arguments:
    arguments = read_arguments({"sample": sample, **more})
    assert arguments is not None
    return arguments


def rows(count: int, *shape: int, value: float = 1.0) -> Tensor:
    return torch.full((count, *shape), value)


def are_joinable(one: dict[str, Any], other: dict[str, Any]) -> bool:
    first, second = read_arguments(one), read_arguments(other)
    return first is not None and second is not None and first.key == second.key


def test_rows_of_several_are_laid_on_top_of_each_other_in_order() -> None:
    parts = [read(rows(2, 4, value=1.0), text=rows(2, 3, value=2.0)), read(rows(1, 4, value=5.0), text=rows(1, 3))]
    joined = join(parts)
    assert joined["sample"][:, 0].tolist() == [1, 1, 5]
    assert joined["text"][:, 0].tolist() == [2, 2, 1]


def test_tensors_deep_in_lists_and_dicts_are_joined_as_well() -> None:
    parts = [
        read(rows(count, 4), added={"ids": rows(count, 6), "image": [rows(count, 1, 2)]}, residuals=(rows(count, 8),))
        for count in (2, 3)
    ]
    joined = join(parts)
    assert joined["added"]["ids"].shape == (5, 6)
    assert joined["added"]["image"][0].shape == (5, 1, 2)
    assert isinstance(joined["residuals"], tuple)
    assert joined["residuals"][0].shape == (5, 8)


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        ((torch.tensor(7), torch.tensor(7.5)), torch.float32),
        ((torch.tensor([7]), 7.5), torch.float32),
        ((torch.tensor(7), torch.tensor(8)), torch.int64),
        ((7, torch.tensor([7.5, 8.5])), torch.float32),
        ((torch.tensor(7.0, dtype=torch.float64), torch.tensor(7)), torch.float32),
    ],
)
def test_timesteps_however_they_are_given_become_one_vector(given: tuple[Any, Any], dtype: torch.dtype) -> None:
    joined = join([read(rows(2, 4), timestep=each) for each in given])["timestep"]
    assert joined.dtype == dtype
    assert joined.shape == (4,)
    expected = [float(row) for each in given for row in torch.as_tensor(each, dtype=torch.float64).expand(2)]
    assert joined.tolist() == expected


def test_what_was_given_comes_back_as_the_very_same_objects() -> None:
    given = {"sample": rows(2, 4), "timestep": 7, "added": {"ids": rows(2, 6)}, "scale": 0.5}
    back = read(**given).as_given()
    assert back["sample"] is given["sample"]
    assert back["timestep"] == 7
    assert back["added"]["ids"] is given["added"]["ids"]


def test_tensors_without_rows_are_shared_only_if_they_are_equal() -> None:
    one = {"sample": rows(2, 4), "mask": rows(3, 5)}
    assert are_joinable(one, {**one, "mask": rows(3, 5)})
    assert not are_joinable(one, {**one, "mask": rows(3, 5, value=0.0)})
    assert not are_joinable(one, {**one, "mask": rows(5, 3)})
    assert not are_joinable(one, {**one, "mask": rows(3, 5).to(torch.bfloat16)})
    assert join([read(**one), read(**one)])["mask"].shape == (3, 5)


def test_a_shared_tensor_that_is_changed_in_place_is_not_taken_for_what_it_was() -> None:
    shared = rows(3, 5)
    before = read(rows(2, 4), mask=shared).key
    assert read(rows(2, 4), mask=shared).key == before
    shared[0, 0] = 2.0
    assert read(rows(2, 4), mask=shared).key != before


def test_positions_are_shared_even_if_there_are_as_many_as_rows() -> None:
    one = {"hidden_states": rows(3, 4, 8), "img_ids": rows(3, 3)}
    assert are_joinable(one, {**one, "img_ids": rows(3, 3)})
    assert not are_joinable(one, {**one, "img_ids": rows(3, 3, value=2.0)})


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("scale", 1.0, 0.5),
        ("scale", 1, 1.0),
        ("return_dict", True, False),
        ("extra", None, 1.0),
        ("cross_attention_kwargs", {"scale": 1.0}, {"scale": 0.5}),
        ("cross_attention_kwargs", None, {"scale": 0.5}),
        ("skip_layers", [7, 8, 9], [7, 8]),
        ("residuals", (rows(2, 8),), [rows(2, 8)]),
        ("residuals", (rows(2, 8),), (rows(2, 8), rows(2, 8))),
        ("residuals", (rows(2, 8),), None),
        ("added", {"ids": rows(2, 6)}, {"text": rows(2, 6)}),
        ("text", rows(2, 77, 4), rows(2, 154, 4)),
        ("text", rows(2, 77, 4), rows(2, 77, 4).double()),
    ],
)
def test_arguments_that_differ_in_anything_but_rows_are_kept_apart(name: str, one: Any, other: Any) -> None:
    assert are_joinable({"sample": rows(2, 4), name: one}, {"sample": rows(2, 4), name: one})
    assert not are_joinable({"sample": rows(2, 4), name: one}, {"sample": rows(2, 4), name: other})


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"sample": [rows(2, 4)]},
        {"sample": torch.tensor(1.0)},
        {"sample": rows(0, 4)},
        {"sample": rows(2, 4), "other": object()},
        {"sample": rows(2, 4), "other": namedtuple("Pair", "a b")(1, 2)},
        {"sample": rows(2, 4), "other": torch.zeros(1 << 19)},
        {"sample": rows(2, 4), "img_shapes": [(1, 8, 8), (1, 8, 8)]},
        {"sample": rows(2, 4), "images": [rows(8, 8), rows(8, 8)]},
        {"sample": rows(2, 4), "cross_attention_kwargs": {"ip_adapter_masks": [rows(2, 8, 8)]}},
    ],
    ids=["nothing", "list", "scalar", "empty", "object", "named", "large", "sizes", "per row", "opaque"],
)
def test_arguments_whose_rows_cannot_be_told_run_alone(given: dict[str, Any]) -> None:
    assert read_arguments(given) is None


def test_outputs_are_cut_in_every_structure() -> None:
    sample = torch.arange(5.0).reshape(5, 1)
    assert [part.flatten().tolist() for part in split(sample, [2, 3])] == [[0, 1], [2, 3, 4]]
    first, second = split(([sample, sample + 10], None, {"mid": sample}), [2, 3])
    assert isinstance(first, tuple)
    assert second[0][1].flatten().tolist() == [12, 13, 14]
    assert second[1] is None
    assert first[2]["mid"].flatten().tolist() == [0, 1]


def test_output_classes_keep_their_names() -> None:
    sample = torch.arange(3.0).reshape(3, 1)
    first, second = split(UNet2DConditionOutput(sample=sample), [1, 2])
    assert first.sample.tolist() == [[0]]
    assert second[0].tolist() == [[1], [2]]
    output = ControlNetOutput(down_block_res_samples=(sample, sample), mid_block_res_sample=sample)
    (_, second) = split(output, [1, 2])
    assert second.down_block_res_samples[1].tolist() == [[1], [2]]


def test_a_cut_output_holds_on_to_its_own_rows_alone() -> None:
    whole = torch.zeros(4, 8)
    first, second = split(whole, [1, 3])
    first += 1
    assert second.sum() == whole.sum() == 0
    assert first.untyped_storage().nbytes() == 8 * 4


def test_a_cut_output_keeps_its_layout_in_memory() -> None:
    whole = torch.zeros(4, 3, 8, 8).to(memory_format=torch.channels_last)
    assert split(whole, [2, 2])[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("output", [torch.zeros(3, 2), torch.tensor(1.0), (torch.zeros(1, 2),), "text", 7])
def test_an_output_without_the_rows_that_went_in_is_refused(output: Any) -> None:
    with pytest.raises(RowsMismatch):
        split(output, [1, 1])
