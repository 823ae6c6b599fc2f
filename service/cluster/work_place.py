"""In which row a job waits."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from protocol.requests import TASKS, Priority, TaskName
from service.cluster.names import Row, WorkClass, share_of, token
from service.database import Row as JobRow

ANY_MODEL: Final = "any"
"""Of a job that names no model, or one that no worker is known to have: whoever takes it says so."""


class WorkPlace(NamedTuple):
    """A row, and the name its model is a token of."""

    row: Row
    model: str


class WorkPlaces:
    """Says where jobs wait.

    Args:
        name_of: the name workers know a model by, from one a client may use; None if none has it.
    """

    def __init__(self, name_of: Callable[[str], str | None]) -> None:
        self._name_of = name_of

    def of(self, job: JobRow) -> WorkPlace:
        """
        Args:
            job: its row in the database.
        """
        params: Mapping[str, Any] = orjson.loads(job["params"])
        named = params.get("model")
        model = (self._name_of(named) if isinstance(named, str) else None) or ANY_MODEL
        work_class = WorkClass.of(
            is_interactive=TASKS[TaskName(job["task"])].is_interactive, priority=Priority(job["priority"])
        )
        return WorkPlace(Row(work_class, share_of(job["key_id"]), token(model)), model)
