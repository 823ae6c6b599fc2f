"""A batch divided among threads has the gradient of the whole."""

import pytest
import torch

from training.spark.crew import Batch, Crew


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_gradient_is_that_of_the_whole_batch(workers: int) -> None:
    torch.manual_seed(1)
    module = torch.nn.Linear(3, 1)
    rows = {"rows": torch.randn(8, 3)}

    def loss(batch: Batch) -> torch.Tensor:
        return torch.as_tensor(module(batch["rows"]).square().mean())

    whole = loss(rows)
    wanted = torch.autograd.grad(whole, list(module.parameters()))
    with Crew(workers) as crew:
        value = crew.set_gradients(loss, rows, list(module.parameters()))
    assert value == pytest.approx(float(whole.detach()))
    for parameter, gradient in zip(module.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_a_weight_the_loss_does_not_use_gets_no_push() -> None:
    used, unused = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    with Crew(2) as crew:
        crew.set_gradients(
            lambda batch: torch.as_tensor(used(batch["rows"]).mean()),
            {"rows": torch.ones(4, 2)},
            [*used.parameters(), *unused.parameters()],
        )
    assert unused.weight.grad is not None
    assert not unused.weight.grad.any()


def test_an_error_on_one_thread_is_raised() -> None:
    def fail(batch: Batch) -> torch.Tensor:
        raise ArithmeticError("no")

    with Crew(2) as crew, pytest.raises(ArithmeticError):
        crew.set_gradients(fail, {"rows": torch.ones(4)}, [])
