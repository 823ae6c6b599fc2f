"""Where results are put beside this server's own folder, as the settings say: a bucket of S3 or MinIO, or a folder.

StoragePlace    the place: from `storage_url` and what goes with it, or from a section `minio`
MinioSettings   that section, as services that store in MinIO have it in their files
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import unquote, urlsplit

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

if TYPE_CHECKING:  # they hold a section of ours
    from service.settings import Settings

LONGEST_SIGNED_S: Final = 7 * 86_400.0
"""Of signatures in URLs; the limit of S3's Signature Version 4."""
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_MINIO_DIALECTS: Final = ("sd_api",)


class MinioSettings(BaseModel):
    """The section `minio` of a configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    endpoint: str = Field(min_length=1, description="HOST:PORT, or a URL.")
    access_key: str | None = Field(None, repr=False)
    secret_key: str | None = Field(None, repr=False)
    bucket: str = Field(validation_alias=AliasChoices("bucket", "bucket_name"))
    secure: bool = Field(False, description="By HTTPS, where the endpoint is no URL.")
    region: str = "us-east-1"
    public_url: str | None = Field(
        None,
        pattern=r"^https?://",
        validation_alias=AliasChoices("public_url", "public_base_url", "base_url"),
        description="Begins the URLs of results, the bucket included; by default endpoint and bucket.",
    )

    @property
    def url(self) -> str:
        """The endpoint with its scheme."""
        if "://" in self.endpoint:
            return self.endpoint.rstrip("/")
        return f"{'https' if self.secure else 'http'}://{self.endpoint.rstrip('/')}"


class BadPlace(ValueError):
    """There is no such place to store at; the message names the setting and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoragePlace:
    """A bucket, or a folder that something else serves.

    Attributes:
        bucket, folder: one of the two.
        prefix: begins the names of objects; empty, or it ends in a slash.
        endpoint: of an S3 that is not Amazon's.
        access_key, secret_key: without them those of the machine, as Amazon's own programs find them.
        public_url: begins the URLs of objects, without a slash at its end; empty where nobody is told of any.
        signed_url_s: how long a URL with a signature holds; None for URLs without one.
        timeout_s: for one object, with all tries.
        dialects: whose jobs are stored; empty for all jobs.
    """

    bucket: str | None = None
    folder: Path | None = None
    prefix: str = ""
    endpoint: str | None = None
    region: str = "us-east-1"
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    public_url: str = ""
    signed_url_s: float | None = None
    timeout_s: float = 20.0
    dialects: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: "Settings") -> Self | None:
        """The place the settings name; None if they name none.

        Raises:
            BadPlace: they name two, or one that cannot be.
        """
        url, minio = settings.storage_url, settings.minio
        if url is not None and minio is not None:
            raise BadPlace("storage_url: expected this or a section minio, got both")
        if minio is not None:
            # To the dialect whose section it is: the bucket may be open to everybody.
            dialects = settings.storage_dialects or _MINIO_DIALECTS
            return cls(
                bucket=_checked_bucket(minio.bucket, "minio.bucket"),
                endpoint=minio.url,
                region=minio.region,
                access_key=minio.access_key,
                secret_key=minio.secret_key,
                public_url=(minio.public_url or f"{minio.url}/{minio.bucket}").rstrip("/"),
                signed_url_s=settings.storage_signed_url_s,
                timeout_s=settings.storage_timeout_s,
                dialects=dialects,
            )
        if url is None:
            return None
        where = _parsed(url, "storage_url")
        if where.bucket is None:
            if settings.storage_public_url is None:
                raise BadPlace("storage_public_url: a folder needs it: where its files can be had")
            public_url = settings.storage_public_url.rstrip("/")
            return cls(
                folder=where.folder,
                public_url=public_url,
                timeout_s=settings.storage_timeout_s,
                dialects=settings.storage_dialects,
            )
        bucket, endpoint = where.bucket, _endpoint(settings.storage_endpoint)
        own_url = f"{endpoint}/{bucket}" if endpoint else f"https://{bucket}.s3.{settings.storage_region}.amazonaws.com"
        return cls(
            bucket=bucket,
            prefix=where.prefix,
            endpoint=endpoint,
            region=settings.storage_region,
            access_key=settings.storage_access_key,
            secret_key=settings.storage_secret_key,
            public_url=(settings.storage_public_url or own_url).rstrip("/"),
            signed_url_s=settings.storage_signed_url_s,
            timeout_s=settings.storage_timeout_s,
            dialects=settings.storage_dialects,
        )

    @classmethod
    def of_cluster(cls, settings: "Settings") -> Self | None:
        """Where the machines of a cluster keep inputs and outputs; None if the settings do not say.

        Raises:
            BadPlace: it cannot be.
        """
        if settings.objects_url is None:
            return None
        where = _parsed(settings.objects_url, "objects_url")
        return cls(
            bucket=where.bucket,
            folder=where.folder,
            prefix=where.prefix,
            endpoint=_endpoint(settings.objects_endpoint),
            region=settings.objects_region,
            access_key=settings.objects_access_key,
            secret_key=settings.objects_secret_key,
            timeout_s=settings.objects_timeout_s,
        )

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}" if self.bucket is not None else f"file://{self.folder}"


@dataclass(frozen=True, slots=True)
class _Where:
    """What a URL of ours names: a bucket and a prefix in it, or a folder."""

    bucket: str | None = None
    prefix: str = ""
    folder: Path | None = None


def _parsed(url: str, setting: str) -> _Where:
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return _Where(folder=Path(unquote(parts.path)))
    if parts.scheme != "s3":
        raise BadPlace(f"{setting}: expected s3://BUCKET[/PREFIX] or file:///FOLDER, got {url!r:.100}")
    prefix = parts.path.strip("/")
    return _Where(bucket=_checked_bucket(parts.netloc, setting), prefix=f"{prefix}/" if prefix else "")


def _endpoint(url: str | None) -> str | None:
    return url.rstrip("/") if url is not None else None


def _checked_bucket(name: str, setting: str) -> str:
    if _BUCKET.fullmatch(name) is None:
        raise BadPlace(
            f"{setting}: expected a bucket of 3 to 63 lower-case letters, digits, dots and hyphens, got {name!r:.100}"
        )
    return name
