"""What SDXL is told of sizes, and when."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.diffusion.size_conditioning import ToldSizes
from protocol.guidance import SizeConditioning

UNET = nn.Identity()
STOCK = torch.tensor([[832.0, 1216.0, 0, 0, 832.0, 1216.0]])


def told(timestep: float, ids: Tensor, **asked: Any) -> Tensor:
    """The numbers a denoiser gets."""
    sizes = ToldSizes(SizeConditioning(**asked), {UNET: 1000})
    given = {"timestep": timestep, "added_cond_kwargs": {"time_ids": ids, "text_embeds": "kept"}}
    changed: Any = sizes(UNET, given, lambda arguments: arguments["added_cond_kwargs"])
    assert changed["text_embeds"] == "kept"
    assert sizes.has_acted == (ids.shape[-1] == 6)
    made: Tensor = changed["time_ids"]
    return made


def test_the_original_size_is_larger_for_the_prompt_and_smaller_for_the_negative_prompt() -> None:
    made = told(999, STOCK.repeat(2, 1), positive=1.5, negative=0.3)
    assert made.tolist() == [[249, 364, 0, 0, 832, 1216], [1248, 1824, 0, 0, 832, 1216]]


def test_without_guidance_there_is_the_prompt_alone() -> None:
    assert told(999, STOCK, positive=2.0, negative=0.3).tolist() == [[1664, 2432, 0, 0, 832, 1216]]


@pytest.mark.parametrize(
    ("end", "timestep", "is_early"),
    [
        (0.3, 700, True),
        (0.3, 699.3, False),
        (0.3, 699, False),
        (0.3, 10, False),
        (0.75, 250, True),
        (0.75, 249, False),
        (0.0, 999, False),
        (1.0, 1, True),
    ],
)
def test_after_its_end_the_original_size_is_the_size_to_make(end: float, timestep: float, is_early: bool) -> None:
    made = told(timestep, STOCK, positive=2.0, end=end)
    assert (made[0, 0] == 1664) == is_early
    assert (made[0, 0] == 832) != is_early


def test_the_size_to_make_is_told_as_a_multiple_of_64_and_no_crop() -> None:
    odd = torch.tensor([[840.0, 1000.0, 7, 9, 840.0, 1000.0]])
    assert told(999, odd, positive=1.1).tolist() == [[924, 1100, 0, 0, 832, 1024]]
    assert told(0, odd).tolist() == [[832, 1024, 0, 0, 832, 1024]]


def test_refiners_which_are_told_five_numbers_are_left_alone() -> None:
    refiner = torch.tensor([[832.0, 1216.0, 0, 0, 6.0]])
    assert torch.equal(told(999, refiner), refiner)


def test_numbers_keep_their_dtype() -> None:
    assert told(999, STOCK.half()).dtype is torch.float16
