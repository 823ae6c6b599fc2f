"""Gradients of one batch on several CPU threads, each with a part of the batch.

Torch's own threads meet after every operation, which is slow when a core is shared with other programs: whoever is late
holds up the rest thousands of times per step. These meet once.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import torch

Batch = dict[str, torch.Tensor]


class Crew:
    """A number of threads that stay for the whole training. A context manager."""

    def __init__(self, workers: int) -> None:
        """With one worker nothing is divided, which is also right for a GPU."""
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers, initializer=lambda: torch.set_num_threads(1)) if workers > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def set_gradients(
        self, loss: Callable[[Batch], torch.Tensor], batch: Batch, parameters: list[torch.nn.Parameter]
    ) -> float:
        """Set `.grad` of every parameter to the gradient of the mean loss over the batch.

        Args:
            loss: from a part of the batch to its mean loss; called on several threads at once.
            batch: tensors of one length, which the number of workers divides.

        Returns:
            The mean loss.
        """

        def work(part: Batch) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
            value = loss(part)
            return value.detach(), torch.autograd.grad(value, parameters, materialize_grads=True)

        parts = [{name: rows[first :: self._workers] for name, rows in batch.items()} for first in range(self._workers)]
        done = list(map(work, parts) if self._pool is None else self._pool.map(work, parts))
        # Summed in a fixed order: which thread was first must not show in the weights.
        for parameter, *gradients in zip(parameters, *(gradients for _, gradients in done), strict=True):
            parameter.grad = torch.stack(gradients).mean(0) if self._pool is not None else gradients[0]
        return sum(float(value) for value, _ in done) / self._workers
