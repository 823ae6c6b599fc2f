"""The wire formats of other services, translated into our own jobs."""

from collections.abc import Mapping
from typing import Final

from service.dialects.iopaint import routes as iopaint
from service.dialects.text_removal import routes as text_removal
from service.profiles import Dialect, Profile

DIALECTS: Final[Mapping[Profile, Dialect]] = {
    Profile.IOPAINT: iopaint.DIALECT,
    Profile.TEXT_REMOVAL: text_removal.DIALECT,
}
"""The dialects there are; where two have a route in common, the first answers on a listener without a profile."""
