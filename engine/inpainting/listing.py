"""The erase models as clients see them: what is there of each, and under which licence. No torch."""

from collections.abc import Sequence

from engine.inpainting.published import FILES, LICENCES, TITLES, eraser_id
from engine.inpainting.weights import Weights, configured
from protocol.models import ModelInfo, ModelKind
from protocol.requests import TaskName

_NOT_ALLOWED = "its licence does not allow commercial use, or is not known; see the setting allow_noncommercial_models"


def listed(weights: Weights) -> Sequence[ModelInfo]:
    """Every erase model that has weights. Looks at the disk."""
    infos = []
    for model, files in FILES.items():
        licence = LICENCES[model]
        wanted = [configured(file, weights.environ) for file in files]
        paths = [weights.find(file) for file in wanted]
        # What is not there is as large as it is thought to be.
        sizes = [path.stat().st_size if path else file.size_bytes for path, file in zip(paths, wanted, strict=True)]
        may_be_used = licence.is_commercial or weights.allows_noncommercial
        infos.append(
            ModelInfo(
                id=eraser_id(model),
                name=model.value,
                title=TITLES[model],
                tasks=(TaskName.ERASE,) if may_be_used else (),
                licence=licence.name,
                size_bytes=sum(sizes),
                is_present=all(paths),
                kind=ModelKind.ERASER,
                source="published",
                problem=None if may_be_used else _NOT_ALLOWED,
            )
        )
    return infos
