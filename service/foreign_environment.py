"""The environment of foreign services: read only while a listener has the profile of that service."""

from collections.abc import Mapping
from typing import Any

from service.dialects import DIALECTS
from service.settings import Settings


def foreign_settings(settings: Settings, environment: Mapping[str, str]) -> dict[str, Any]:
    """What the variables of the services whose profiles are on say, as settings of ours.

    They go before the file and after `SAFELIGHT_*`: `load(..., foreign=...)`. Where two services say the same thing
    differently, the listener named first wins.

    Args:
        settings: as read without them; say which profiles are on.
    """
    read: dict[str, Any] = {}
    for place in settings.places:
        dialect = DIALECTS.get(place.profile) if place.profile is not None else None
        if dialect is not None and dialect.environment is not None:
            read = {**dialect.environment(environment), **read}
    return read
