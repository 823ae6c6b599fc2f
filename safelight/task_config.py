"""The parameters of a task from a JSON file: `safelight run TASK --config FILE`."""

import json
from pathlib import Path
from typing import Any, Final

from protocol.requests import TASKS

_MOST_NAMED: Final = 5
_IOPAINT: Final = ("sd_", "hd_strategy_", "cv2_", "croper_", "extender_", "use_", "enable_", "p2p_", "paint_by_")
"""How fields of IOPaint's requests begin; no parameter of ours does."""


class BadConfig(ValueError):
    """The file cannot be used; the message says what is expected."""


def read_config(path: Path, task: str) -> dict[str, Any]:
    """The parameters in a file: an object of them, or a whole request with `task` and `params`.

    Raises:
        BadConfig: it is neither, is for another task, or names what the task does not take.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadConfig(f"--config: cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:  # no JSON, or not UTF-8
        raise BadConfig(f"--config: {path} is not JSON: {error}") from None
    if isinstance(value, dict) and "params" in value:
        if value.get("task", task) != task:
            raise BadConfig(f"--config: {path} is for the task {value['task']!r:.60}, not {task}")
        value = value["params"]
    if not isinstance(value, dict):
        raise BadConfig(f"--config: expected an object with parameters of {task} in {path}")
    _check_names(value, task, path)
    return value


def _check_names(params: dict[str, Any], task: str, path: Path) -> None:
    spec = next((spec for name, spec in TASKS.items() if name == task), None)
    if spec is None:  # refused when it is submitted
        return
    unknown = [name for name in params if name not in spec.params.model_fields]
    if not unknown:
        return
    shown = ", ".join(unknown[:_MOST_NAMED]) + (", ..." if len(unknown) > _MOST_NAMED else "")
    if any(name.startswith(_IOPAINT) for name in unknown):
        raise BadConfig(
            f"--config: {path} is a request of IOPaint's ({shown}); say it in the parameters of {task}, "
            "see docs/tasks.md; IOPaint's own requests are answered at /api/v1/inpaint"
        )
    raise BadConfig(f"--config: {task} has no parameter {shown}; it has {', '.join(spec.params.model_fields)}")
