"""Checkpoints and what they keep."""

from pathlib import Path

import pytest
import torch

from training.spark.checkpoint import Average, Progress, load, save
from training.spark.files import write_atomically

CPU = torch.device("cpu")


def test_a_stage_that_has_not_begun_stands_at_zero(tmp_path: Path) -> None:
    assert load(tmp_path / "none.pt", CPU) == Progress()


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    module, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    progress = Progress(step=3, elapsed_s=1.5, pictures=96, losses=[(3, 0.5)])
    save(tmp_path / "a.pt", progress, module=module)
    assert load(tmp_path / "a.pt", CPU, module=other) == progress
    torch.testing.assert_close(other.weight, module.weight)


def test_a_write_that_fails_leaves_the_file_before_and_no_remains(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail(file: object) -> None:
        file.write(b"ne")  # type: ignore[attr-defined] # any open file
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_average_follows_quickly_at_first_and_slowly_later() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(0)
    early, late = Average(module), Average(module)
    module.weight.data.fill_(1)
    early.update(module, 1)
    late.update(module, 10**6)
    assert float(early.state_dict()["weight"]) == pytest.approx(1 - 2 / 21)
    assert float(late.state_dict()["weight"]) == pytest.approx(0.001, rel=1e-3)


def test_the_average_does_not_change_the_module() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    average = Average(module)
    before = module.weight.clone()
    average.state_dict()["weight"].fill_(9)
    assert torch.equal(module.weight, before)
