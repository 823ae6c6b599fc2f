"""Published files that lie among models and are none of the library: they are listed apart, each with its licence.

Those that `safelight models pull` fetches, those of the erase models and those of the plugins. By their names alone:
their contents would tell of most that they are no model known here, and list them as broken checkpoints.
"""

from typing import Final

from engine.inpainting.published import FILE_NAMES as ERASERS
from engine.library import hub
from engine.models.catalogue import CATALOGUE
from engine.plugins.published import PLUGIN_MODELS

_CARRIED: Final = frozenset(file.name for model in CATALOGUE.values() for file in model.files)
_PLUGINS: Final = frozenset(file for model in PLUGIN_MODELS.values() for file in model.files)
_REPOSITORIES: Final = frozenset(
    hub.folder_name(model.repository) for model in PLUGIN_MODELS.values() if model.repository is not None
)

LISTED_APART: Final = _CARRIED | ERASERS | _PLUGINS | _REPOSITORIES
"""Names of files, of files with the folder they lie in, and of folders of a hub's cache; see `layouts.Root`."""
