"""The wire formats of other services, translated into our own jobs."""

from collections.abc import Mapping
from typing import Final

from service.dialects.fooocus_api.routes import DIALECT as FOOOCUS_API
from service.dialects.fooocus_engine.routes import DIALECT as FOOOCUS_ENGINE
from service.dialects.iopaint.routes import DIALECT as IOPAINT
from service.dialects.sd_api.routes import DIALECT as SD_API
from service.dialects.text_removal.routes import DIALECT as TEXT_REMOVAL
from service.profiles import Dialect, Profile

DIALECTS: Final[Mapping[Profile, Dialect]] = {
    Profile.IOPAINT: IOPAINT,
    Profile.TEXT_REMOVAL: TEXT_REMOVAL,
    Profile.FOOOCUS_API: FOOOCUS_API,
    Profile.FOOOCUS_ENGINE: FOOOCUS_ENGINE,
    Profile.SD_API: SD_API,
}
"""The dialects there are; where two have a route in common, the first answers on a listener without a profile."""
