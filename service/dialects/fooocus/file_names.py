"""The names under which pictures are published: `DATE/STEM-INDEX.EXT`; a client may choose the stem.

Nothing of it reaches the file system: the names only find a job and one of its outputs.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote

from protocol.ids import is_id
from protocol.jobs import Job
from service.dialects.fooocus.choices import Extension

MEDIA_TYPES: Final = {
    Extension.PNG: "image/png",
    Extension.JPG: "image/jpeg",
    Extension.JPEG: "image/jpeg",
    Extension.WEBP: "image/webp",
}
_UNSAFE: Final = re.compile(r"[^\w .()+-]")
_LONGEST_STEM: Final = 100
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_FILE: Final = re.compile(r"(?P<stem>.{1,160})-(?P<index>\d{1,3})\.(?P<extension>png|jpg|jpeg|webp)", re.ASCII)


@dataclass(frozen=True, slots=True)
class FileName:
    """What a name says.

    Attributes:
        key: DATE/STEM, which the job has as its label `file_name` if its client chose the stem.
        job_id: the stem, if it is the id of a job.
    """

    key: str
    job_id: str | None
    index: int
    extension: Extension

    @classmethod
    def parse(cls, date: str, name: str) -> "FileName | None":
        """Read a path; None if it cannot be one of ours."""
        match = _FILE.fullmatch(name)
        if match is None or _DATE.fullmatch(date) is None:
            return None
        stem = match["stem"]
        return cls(f"{date}/{stem}", stem if is_id(stem) else None, int(match["index"]), Extension(match["extension"]))


def chosen_stem(save_name: str | None) -> str | None:
    """What is left of the name a client chose, without its folders; None if it chose none."""
    base = re.split(r"[/\\]", save_name or "")[-1]
    stem = _UNSAFE.sub("_", base)[:_LONGEST_STEM].strip(" .")
    # What looks like an id finds the job of that id.
    return stem if stem and not is_id(stem) else None


def date_of(job: Job) -> str:
    """The day a job was accepted, by the clock on the wall, as it stands in the names of its files."""
    return datetime.fromisoformat(job.created_at).astimezone().strftime("%Y-%m-%d")


def today() -> str:
    """The same of a job that is accepted now."""
    return datetime.now().astimezone().strftime("%Y-%m-%d")


def path_of(job: Job, index: int) -> str:
    """DATE/NAME of an output, as it stands in a URL."""
    key = job.labels.get("file_name") or f"{date_of(job)}/{job.id}"
    return quote(f"{key}-{index}.{job.labels.get('extension', Extension.PNG)}")
