import pytest

from protocol.ids import new_id
from protocol.jobs import Job, JobStatus
from protocol.requests import Previews, Priority, TaskName
from service.dialects.fooocus.choices import Extension
from service.dialects.fooocus.file_names import FileName, chosen_stem, date_of, path_of


def job(**labels: str) -> Job:
    return Job(
        id=new_id(),
        task=TaskName.TEXT_TO_IMAGE,
        status=JobStatus.SUCCEEDED,
        seq=1,
        attempt=1,
        priority=Priority.NORMAL,
        previews=Previews.NONE,
        params={},
        labels=labels,
        created_at="2026-11-21T12:00:00.000Z",
    )


def test_a_path_names_the_day_the_job_the_picture_and_the_format_and_is_read_back() -> None:
    made = job(extension="jpg")
    assert path_of(made, 2) == f"{date_of(made)}/{made.id}-2.jpg"
    date, _, name = path_of(made, 2).partition("/")
    assert FileName.parse(date, name) == FileName(f"{date}/{made.id}", made.id, 2, Extension.JPG)


def test_a_chosen_name_stands_in_the_place_of_the_job() -> None:
    made = job(file_name="2026-11-21/my cat", extension="png")
    assert path_of(made, 0) == "2026-11-21/my%20cat-0.png"
    assert FileName.parse("2026-11-21", "my cat-0.png") == FileName("2026-11-21/my cat", None, 0, Extension.PNG)


@pytest.mark.parametrize(
    ("given", "stem"),
    [
        ("cat", "cat"),
        ("../cat", "cat"),
        ("..\\..\\cat", "cat"),
        ("/etc/passwd", "passwd"),
        ("c:cat?*", "c_cat__"),
        ("...", None),
        ("../", None),
        ("", None),
        (None, None),
        ("x" * 300, "x" * 100),
        ("Katze ä", "Katze ä"),
    ],
)
def test_of_a_chosen_name_nothing_is_left_that_could_leave_a_folder(given: str | None, stem: str | None) -> None:
    assert chosen_stem(given) == stem


def test_a_name_that_looks_like_the_id_of_a_job_is_not_taken() -> None:
    assert chosen_stem(new_id()) is None


@pytest.mark.parametrize(
    ("date", "name"),
    [
        ("2026-11-21", "cat.png"),
        ("2026-11-21", "cat-0.txt"),
        ("2026-11-21", "cat-0"),
        ("2026-11-21", "-0.png"),
        ("2026-11-21", "cat-1000.png"),
        ("yesterday", "cat-0.png"),
        ("..", "cat-0.png"),
    ],
)
def test_what_cannot_be_a_name_of_ours_is_none(date: str, name: str) -> None:
    assert FileName.parse(date, name) is None
