"""What a denoiser's forward returns: a tuple or an output class, the answer first in either."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def first_tensor(result: Any) -> Tensor | None:
    """The answer; None if there is none where it should be."""
    found = next(iter(result.values()), None) if isinstance(result, Mapping) else _first(result)
    return found if isinstance(found, Tensor) else None


def with_first_tensor(result: Any, answer: Tensor) -> Any:
    """A result of the same structure with another answer."""
    if isinstance(result, Mapping):
        named = dict(result)
        named[next(iter(named))] = answer
        return named if type(result) is dict else type(result)(**named)
    return (answer, *result[1:])


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) and result else None
