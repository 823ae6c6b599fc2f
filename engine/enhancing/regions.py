"""Where in a picture a region of `enhance` is. Importing this loads no torch."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from engine.grounding.finding import bring_finders, find_objects, together
from engine.images import Picture
from engine.interface import Call, RunContext, Where
from engine.masks import Mask
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.plugins.subjects import bring_subject_model, chosen_model, spread, subject_share, use_subject_model
from protocol.editing import BackgroundModel, Clothes
from protocol.enhancing import EnhancedRegion


@dataclass(frozen=True, slots=True, eq=False)
class FoundRegion:
    """What was found.

    Attributes:
        mask: (H, W); empty if nothing was.
        data: what is told of it.
    """

    mask: Mask
    data: Mapping[str, Any]


class RegionFinder:
    """Finds regions in pictures. For the executor thread."""

    def __init__(self, residency: Residency, plugins: PluginFiles) -> None:
        self._residency = residency
        self._plugins = plugins

    def prepare(self, region: EnhancedRegion) -> Generator[Call, Any, None]:
        """See that the files are there, or bring them. Use with `yield from`.

        Raises:
            EngineError: `model_missing`, `forbidden`; `invalid_params`: a text that names nothing.
        """
        if region.subject is None:
            yield from bring_finders(region, region.model, self._residency, self._plugins)
        else:
            yield from bring_subject_model(region.subject, self._residency, self._plugins)

    def find(self, region: EnhancedRegion, picture: Picture, context: RunContext) -> Generator[Call, Any, FoundRegion]:
        """Where it is. Use with `yield from`.

        Raises:
            EngineError: `bad_model`, and as `prepare`.

        Warns:
            clothes_unused: the model of the subject does not tell clothes apart.
        """
        if region.subject is None:
            found = yield from find_objects(picture, region, region.model, context, self._residency, self._plugins)
            return FoundRegion(together(found, picture), {"objects": [each.data() for each in found]})
        model = chosen_model(region.subject, self._residency)
        if region.clothes is not Clothes.ALL and model is not BackgroundModel.U2NET_CLOTH_SEG:
            context.warn("clothes_unused", f"clothes: {model.value} knows no clothes; the model u2net_cloth_seg does")
        network = yield from use_subject_model(model, self._residency, self._plugins)
        small = yield from subject_share(network, model, picture, region.clothes)
        context.step(1, 1, progress=1.0, stage="infer")
        share = yield Call(partial(spread, small, picture), Where.POOL, "compose")
        return FoundRegion(np.asarray(share > 0.5), {"subject": model.value})
