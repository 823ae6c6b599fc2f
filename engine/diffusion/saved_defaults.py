"""`safelight.json` in a model's folder: what its maker wants a request to get that leaves a parameter out."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.diffusion.families import ModelDefaults
from protocol.sampling import SchedulerName

FILE_NAME: Final = "safelight.json"
_Side = Annotated[int, Field(ge=16, le=4096)]


class SavedDefaults(BaseModel):
    """Every field is optional; what is not there stays as the family has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: _Side | None = None
    height: _Side | None = None
    steps: Annotated[int, Field(ge=1, le=500)] | None = None
    guidance_scale: Annotated[float, Field(ge=0, le=100)] | None = None
    scheduler: SchedulerName | None = None
    show_px: _Side | None = None
    knows_styles: bool | None = None


def with_saved(defaults: ModelDefaults, folder: Path) -> ModelDefaults:
    """`defaults`, with those the folder brings in their place.

    Raises:
        ValueError: the folder's file cannot be read; the message says where it is wrong.
    """
    try:
        saved = SavedDefaults.model_validate_json((folder / FILE_NAME).read_bytes())
    except FileNotFoundError:
        return defaults
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise ValueError(f"{FILE_NAME}: {place}: {first['msg']}") from None
    given = saved.model_dump(exclude_none=True)
    for side in given.keys() & {"width", "height"}:
        if given[side] % defaults.size_multiple:
            raise ValueError(f"{FILE_NAME}: {side}: expected a multiple of {defaults.size_multiple}, got {given[side]}")
    return replace(defaults, **given)
