"""The device that tensors live on: found and tried out at the start, waited for, asked for its memory."""

from dataclasses import dataclass
from typing import Final

import torch
from torch.nn import functional

from engine.memory import default_budget_bytes

_BUDGET_SHARE: Final = 0.5
"""Of the memory that is free on a GPU; weights, the libraries' own workspaces and fragments have the rest."""

_WEIGHTS_SHARE_OF_RAM: Final = 0.4
_WEIGHTS_SHARE_OF_GPU: Final = 0.6
"""Activations, caches and other programs have the rest."""


@dataclass(frozen=True, slots=True)
class Device:
    """A CPU or one GPU. All methods are for the thread that runs the calls."""

    torch_device: torch.device

    @property
    def name(self) -> str:
        """`cpu`, or `cuda:0` with the number of the GPU."""
        return str(self.torch_device)

    @property
    def is_cuda(self) -> bool:
        return self.torch_device.type == "cuda"

    def wait(self) -> None:
        """Return when everything asked of the device is done. On a CPU it always is.

        Raises:
            RuntimeError: something asked of it before has failed.
        """
        if self.is_cuda:
            torch.cuda.synchronize(self.torch_device)

    def free_caches(self) -> None:
        """Give the memory that torch keeps for later back to the driver; what is in use stays."""
        if self.is_cuda:
            torch.cuda.empty_cache()

    def weights_budget_bytes(self) -> int:
        """Memory that the weights of all models may take together."""
        if not self.is_cuda:
            return int(2 * default_budget_bytes() * _WEIGHTS_SHARE_OF_RAM)
        _, total_bytes = torch.cuda.mem_get_info(self.torch_device)
        return int(total_bytes * _WEIGHTS_SHARE_OF_GPU)

    def home_budget_bytes(self) -> int | None:
        """Of the machine's memory, what weights that come to a GPU for their calls may take; None on a CPU."""
        return int(2 * default_budget_bytes() * _WEIGHTS_SHARE_OF_RAM) if self.is_cuda else None

    def budget_bytes(self) -> int:
        """Memory that live jobs may need together: a part of the machine's and, on a GPU, of what is free there now.

        The smaller of the two, since a job has its pictures here and its networks' activations there.
        """
        if not self.is_cuda:
            return default_budget_bytes()
        free_bytes, _ = torch.cuda.mem_get_info(self.torch_device)
        return min(default_budget_bytes(), int(free_bytes * _BUDGET_SHARE))


def find_device(wanted: str | None = None) -> Device:
    """The device `wanted` names, or CUDA where there is one, made this thread's own and tried out.

    Args:
        wanted: `cpu`, `cuda` or `cuda:N`.

    Raises:
        Exception: it is not there or cannot calculate; in torch's own words, now rather than in the first job.
    """
    asked = torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))
    # `cuda` alone means the thread's current GPU: a tensor on it knows which that is.
    device = Device(torch.zeros(1, device=asked).device)
    if device.is_cuda:
        torch.cuda.set_device(device.torch_device)
        # What the networks need most. A torch without kernels for this GPU may come as far as here.
        ones = torch.ones(1, 1, 8, 8, device=device.torch_device, dtype=torch.float16)
        functional.conv2d(ones, ones[..., :3, :3])
        device.wait()
    return device
