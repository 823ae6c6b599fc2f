"""Which jobs a listing is to have, and the statement that finds them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from protocol.jobs import JobStatus
from protocol.requests import TaskName

_SPECIAL: Final = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})
"""What means something in a pattern of LIKE -> itself, where the backslash is the escape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """What has to be true of a job.

    Attributes:
        statuses, tasks: it has one of these; empty: any.
        words: each of them is somewhere in its prompt. Of ASCII letters, capitals and small ones are the same.
        label: it has a label of this name and value.
    """

    statuses: Collection[JobStatus] = ()
    tasks: Collection[TaskName] = ()
    words: tuple[str, ...] = ()
    label: tuple[str, str] | None = None

    @property
    def statement(self) -> str:
        """The name of the statement that lists such jobs."""
        if self.words:
            return "filtered_by_prompt"
        if self.label is not None:
            return "filtered_by_label"
        return "filtered_by_kind" if self.statuses or self.tasks else "jobs_of_key"

    def parameters(self) -> Mapping[str, Any]:
        """For those statements."""
        patterns = [f"%{word.translate(_SPECIAL)}%" for word in sorted(self.words, key=len, reverse=True)]
        name, value = self.label or (None, None)
        return {
            "statuses": orjson.dumps([status.value for status in self.statuses or JobStatus]).decode(),
            "tasks": orjson.dumps([task.value for task in self.tasks or TaskName]).decode(),
            # The longest first: it is in the fewest prompts, and the others are looked for in those alone.
            "pattern": patterns[0] if patterns else None,
            "patterns": orjson.dumps(patterns[1:]).decode(),
            "label_name": name,
            "label_value": value,
            # As it stands in the stored JSON: looked for first, since few jobs have it.
            "label_text": None if value is None else orjson.dumps(value)[1:-1].decode(),
        }


EVERY_JOB: Final = JobFilter()
