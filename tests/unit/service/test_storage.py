import os
from pathlib import Path

import pytest

from service.settings import Settings, SettingsError, load
from service.storage import BadPlace, StoragePlace
from service.wiring import wire

MINIO = """
minio:
  endpoint: 192.168.31.40:9000
  access_key: user
  secret_key: very secret
  bucket_name: sd-images
"""


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SAFELIGHT_")]:
        monkeypatch.delenv(name)


def place_of(tmp_path: Path, text: str) -> StoragePlace | None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return StoragePlace.of(load(file))


def test_nothing_is_copied_unless_the_settings_name_a_place() -> None:
    assert StoragePlace.of(Settings()) is None


def test_a_section_minio_is_the_place_of_the_dialect_whose_it_is(tmp_path: Path) -> None:
    place = place_of(tmp_path, MINIO)
    assert place is not None
    assert (place.bucket, place.endpoint) == ("sd-images", "http://192.168.31.40:9000")
    assert (place.access_key, place.secret_key, place.prefix) == ("user", "very secret", "")
    assert place.public_url == "http://192.168.31.40:9000/sd-images"
    assert place.dialects == ("sd_api",)


@pytest.mark.parametrize(
    ("line", "endpoint", "public_url"),
    [
        ("secure: true", "https://192.168.31.40:9000", "https://192.168.31.40:9000/sd-images"),
        ("public_url: https://img.example/x/", "http://192.168.31.40:9000", "https://img.example/x"),
        ("public_base_url: https://img.example", "http://192.168.31.40:9000", "https://img.example"),
        ("base_url: https://img.example", "http://192.168.31.40:9000", "https://img.example"),
    ],
)
def test_each_key_of_the_section_counts(tmp_path: Path, line: str, endpoint: str, public_url: str) -> None:
    place = place_of(tmp_path, f"{MINIO}  {line}\n")
    assert place is not None
    assert (place.endpoint, place.public_url) == (endpoint, public_url)


def test_storage_dialects_widen_what_a_section_minio_stores(tmp_path: Path) -> None:
    place = place_of(tmp_path, f"storage_dialects: [sd_api, fooocus_api]\n{MINIO}")
    assert place is not None
    assert place.dialects == ("sd_api", "fooocus_api")


@pytest.mark.parametrize(
    ("settings", "prefix", "public_url"),
    [
        ({"storage_url": "s3://made"}, "", "https://made.s3.us-east-1.amazonaws.com"),
        ({"storage_url": "s3://made/a/b/", "storage_region": "eu-west-1"}, "a/b/", "https://made.s3.eu-west-1.amazonaws.com"),
        ({"storage_url": "s3://made", "storage_endpoint": "http://h:9000/"}, "", "http://h:9000/made"),
        ({"storage_url": "s3://made", "storage_public_url": "https://i.example/"}, "", "https://i.example"),
    ],
)  # fmt: skip
def test_a_bucket_has_a_prefix_and_an_address(settings: dict[str, str], prefix: str, public_url: str) -> None:
    place = StoragePlace.of(load(None, settings))
    assert place is not None
    assert (place.bucket, place.prefix, place.public_url) == ("made", prefix, public_url)


def test_a_folder_is_named_by_a_url_with_its_quoting_undone() -> None:
    place = StoragePlace.of(load(None, {"storage_url": "file:///a%20b/c", "storage_public_url": "http://h/x"}))
    assert place is not None
    assert (place.folder, place.public_url) == (Path("/a b/c"), "http://h/x")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"storage_url": "ftp://x"}, "storage_url"),
        ({"storage_url": "s3://Bad_Bucket"}, "storage_url"),
        ({"storage_url": "s3://"}, "storage_url"),
        ({"storage_url": "file:///x"}, "storage_public_url"),
        ({"storage_url": "file://host/x", "storage_public_url": "http://h"}, "storage_url"),
        ({"minio": {"endpoint": "h", "bucket": "X"}}, "minio.bucket"),
        ({"minio": {"endpoint": "h", "bucket": "abc"}, "storage_url": "s3://made"}, "storage_url"),
    ],
)
def test_a_place_that_cannot_be_is_refused_by_the_name_of_its_setting(
    tmp_path: Path, settings: dict[str, object], named: str
) -> None:
    chosen = load(None, {**settings, "data_dir": tmp_path, "engine": "fake"})
    with pytest.raises(BadPlace, match=named):
        StoragePlace.of(chosen)
    with pytest.raises(SettingsError, match=named):
        wire(chosen)


def test_what_the_section_minio_does_not_know_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="buckets"):
        place_of(tmp_path, f"{MINIO}  buckets: 3\n")


def test_no_secret_is_shown(tmp_path: Path) -> None:
    place = place_of(tmp_path, MINIO)
    chosen = load(tmp_path / "config.yaml")
    assert "very secret" not in f"{place!r} {place} {chosen!r}"
