"""A picture that was made, on its way from one stage of a job to the next. Imports no torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from engine.images import Picture


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """One.

    Attributes:
        seed: it was made with; None where nothing was drawn.
        data: to be told with it.
    """

    picture: Picture
    seed: int | None
    data: Mapping[str, Any]

    @property
    def is_censored(self) -> bool:
        """Whether it became black when it was looked at."""
        return bool(self.data.get("is_censored"))


Take: TypeAlias = Callable[[Made], None]
"""Gets a picture in the place of the job's outputs. On the executor thread."""
