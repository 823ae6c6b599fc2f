"""Where a server looks for diffusion models: its own folder, the folders of other programs, and the embedded model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from engine.library.apart import LISTED_APART
from engine.library.layouts import Layout, Root
from engine.library.library import Library, own_root

EMBEDDED_DIR: Final = Path(__file__).parents[1] / "diffusion" / "spark"
"""The model that comes with the program, as a diffusers folder; see docs/spark.md."""


def make_library(models_dir: Path, folders: Sequence[Path] = ()) -> Library:
    """A library of everything there is, not looked through yet.

    Args:
        models_dir: our own folder.
        folders: of other programs, whose layout is recognised; what is in several belongs to the first.
    """
    embedded = Root(path=EMBEDDED_DIR, layout=Layout.FOLDER, source="embedded")
    others = (Root(path=folder.expanduser(), ignored=LISTED_APART) for folder in folders)
    return Library((own_root(models_dir), *others, embedded))
