import os

import pytest

from engine.library import hub
from tests.unit.engine.library.model_files import as_blobs, write_pipeline, write_repository


def test_name_of_a_repository_has_its_organisation():
    assert hub.repository_name("models--stabilityai--sd-turbo") == "stabilityai/sd-turbo"
    assert hub.repository_name("models--gpt2") == "gpt2"
    assert not hub.is_repository("datasets--someone--pictures")
    assert not hub.is_repository("models--")


def test_snapshot_is_the_one_that_main_means(tmp_path):
    snapshot = write_repository(tmp_path, "org/name", "aaa")
    (snapshot.parent / "bbb").mkdir()
    assert hub.snapshot_of(tmp_path / "models--org--name") == snapshot


def test_snapshot_is_the_newest_where_main_is_unknown(tmp_path):
    snapshot = write_repository(tmp_path, "org/name", "aaa")
    newer = snapshot.parent / "bbb"
    newer.mkdir()
    os.utime(snapshot, (1, 1))
    (tmp_path / "models--org--name" / "refs" / "main").unlink()
    assert hub.snapshot_of(tmp_path / "models--org--name") == newer


def test_links_into_the_blobs_are_what_a_snapshot_is_made_of(tmp_path):
    snapshot = write_pipeline(write_repository(tmp_path, "org/name"))
    as_blobs(snapshot)
    assert (snapshot / "unet" / "config.json").is_symlink()
    assert hub.snapshot_of(tmp_path / "models--org--name") == snapshot


def refusal(repository):
    with pytest.raises(hub.Unusable) as caught:
        hub.snapshot_of(repository)
    return str(caught.value)


def test_link_out_of_the_repository_is_refused(tmp_path):
    snapshot = write_pipeline(write_repository(tmp_path, "org/name"))
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    (snapshot / "unet" / "extra.json").symlink_to(secret)
    assert "'extra.json' leads out" in refusal(tmp_path / "models--org--name")


def test_link_to_a_blob_that_is_not_there_is_refused(tmp_path):
    snapshot = write_repository(tmp_path, "org/name")
    (snapshot / "model.safetensors").symlink_to(snapshot.parent.parent / "blobs" / "abc")
    assert "not there yet" in refusal(tmp_path / "models--org--name")


def test_ring_of_links_is_refused(tmp_path):
    snapshot = write_repository(tmp_path, "org/name")
    (snapshot / "a").symlink_to(snapshot / "b")
    (snapshot / "b").symlink_to(snapshot / "a")
    assert refusal(tmp_path / "models--org--name")


@pytest.mark.parametrize("revision", ["", "..", "../../other", "/etc", "a b", "x" * 200])
def test_reference_that_names_no_revision_is_refused(tmp_path, revision):
    write_repository(tmp_path, "org/name")
    (tmp_path / "models--org--name" / "refs" / "main").write_text(revision)
    assert "damaged" in refusal(tmp_path / "models--org--name")


def test_snapshot_that_is_a_link_to_elsewhere_is_refused(tmp_path):
    snapshot = write_repository(tmp_path, "org/name")
    snapshot.rmdir()
    (tmp_path / "elsewhere").mkdir()
    snapshot.symlink_to(tmp_path / "elsewhere")
    assert "outside" in refusal(tmp_path / "models--org--name")


def test_repository_without_snapshots_is_refused(tmp_path):
    snapshot = write_repository(tmp_path, "org/name")
    snapshot.rmdir()
    assert "no snapshot" in refusal(tmp_path / "models--org--name")
    (tmp_path / "models--org--other").mkdir()
    assert refusal(tmp_path / "models--org--other")
