"""What a softened ControlNet adds to each stage of a denoiser."""

from typing import Any

import pytest
import torch
from torch import nn

from engine.diffusion.control_softness import SoftControl

NET = nn.Identity()


@pytest.mark.parametrize("stages", [9, 12])
def test_the_finest_stage_loses_most_and_the_middle_nothing(stages: int) -> None:
    soft = SoftControl(0.4, {NET})
    given = ([torch.ones(1)] * stages, torch.ones(1))
    made: Any = soft(NET, {}, lambda _: given)
    factors = [float(stage) for stage in (*made[0], made[1])]
    assert factors == pytest.approx([1 - 0.4 * (1 - i / stages) for i in range(stages + 1)])
    assert factors[0] == pytest.approx(0.6)
    assert factors[-1] == 1


def test_other_modules_answers_are_left_alone() -> None:
    result = (torch.ones(1),)
    assert SoftControl(0.4, {NET})(nn.Identity(), {}, lambda _: result) is result
