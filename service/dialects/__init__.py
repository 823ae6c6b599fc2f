"""The wire formats of other services, translated into our own jobs."""

from collections.abc import Mapping
from typing import Final

from service.profiles import Dialect, Profile

DIALECTS: Final[Mapping[Profile, Dialect]] = {}
"""The dialects there are; where two have a route in common, the first answers on a listener without a profile."""
