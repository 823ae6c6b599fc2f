"""The icons spark learns from: one pinned package, fetched by `npm pack`, checked by SHA-256, drawn by resvg."""

import hashlib
import io
import json
import logging
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

PACKAGE = "@iconify-json/fluent-emoji-flat"
VERSION = "1.2.6"
SHA256 = "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175"
"""Of the tarball as the npm registry serves it. The icons are Microsoft's Fluent Emoji, MIT licence."""

Pixels = npt.NDArray[np.uint8]

logger = logging.getLogger(__name__)


class IconsNotFetched(Exception):
    """The package could not be had, or is not the one that was pinned."""


def fetch(work_dir: Path) -> Path:
    """Bring the pinned package into `work_dir`, once.

    Returns:
        The tarball; its SHA-256 has been compared on this very call.

    Raises:
        IconsNotFetched: npm is missing or failed, or the checksum differs.
    """
    tarball = work_dir / "icons.tgz"
    if not tarball.exists():
        work_dir.mkdir(parents=True, exist_ok=True)
        npm = shutil.which("npm")
        if npm is None:
            raise IconsNotFetched(f"npm is needed to fetch {PACKAGE}@{VERSION}; or put its tarball at {tarball}")
        with tempfile.TemporaryDirectory(dir=work_dir) as folder:
            command = [npm, "pack", "--silent", f"{PACKAGE}@{VERSION}"]
            finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
            packed = list(Path(folder).glob("*.tgz"))
            if finished.returncode != 0 or not packed:
                raise IconsNotFetched(f"npm pack {PACKAGE}@{VERSION} failed: {finished.stderr.strip()[-400:]}")
            check(packed[0])
            packed[0].replace(tarball)
        logger.info("fetched %s@%s", PACKAGE, VERSION)
    check(tarball)
    return tarball


def check(tarball: Path, sha256: str = SHA256) -> None:
    """Raise `IconsNotFetched` unless the file has the pinned checksum."""
    found = hashlib.sha256(tarball.read_bytes()).hexdigest()
    if found != sha256:
        raise IconsNotFetched(f"{tarball.name}: expected SHA-256 {sha256}, got {found}")


def read_bodies(tarball: Path) -> dict[str, str]:
    """Icon name -> the inside of its SVG, for a view box of 32 x 32."""
    with tarfile.open(tarball) as archive:
        member = archive.extractfile("package/icons.json")
        if member is None:
            raise IconsNotFetched(f"{tarball.name} holds no package/icons.json")
        icons: dict[str, dict[str, str]] = json.load(member)["icons"]
    return {name: icon["body"] for name, icon in icons.items()}


def draw(body: str, side_px: int) -> Pixels:
    """One icon as (side_px, side_px, 4) RGBA with straight alpha."""
    import resvg_py  # here, so that everything but drawing works without it

    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="{side_px}" height="{side_px}">{body}</svg>'
    )
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=side_px, height=side_px))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))
