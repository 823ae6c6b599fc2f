"""The pictures of a job: wherever a client says they are, they end up checked, as files of that job."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import anyio.to_thread

from protocol.editing import EraseParams, RemoveTextParams, SegmentParams
from protocol.errors import ErrorCode, ProtocolError
from protocol.generation import InpaintParams
from protocol.ids import is_id
from protocol.params import Region
from protocol.pictures import picture_refs
from protocol.requests import JobRequest
from service.auth import Key
from service.clock import timestamp
from service.fetch import Fetcher
from service.files import SUFFIXES, Files, link_or_copy
from service.probe import Probe, probe
from service.settings import Settings
from service.store import Store
from service.uploads import Uploads

_DATA_URL: Final = re.compile(r"data:[\w.+-]*/?[\w.+-]*(;[\w.+-]+=[^;,]*)*(?P<base64>;base64)?,", re.ASCII)
_JOB_OUTPUT: Final = re.compile(r"job:(?P<id>[0-9a-f-]{36})/(?P<number>\d{1,6})", re.ASCII)
_SHOWN_REF: Final = 2048
_ATTACHED: Final = "attached:"


class MaskMisfit(ProtocolError):
    """A mask has another size than its picture; both sizes are those of the upright pictures."""

    def __init__(self, image: Probe, mask: Probe, at: str) -> None:
        size = f"{image.width} x {image.height}"
        message = f"mask: expected the size of the image, {size}, got {mask.width} x {mask.height} at {at}"
        super().__init__(ErrorCode.INVALID_PARAMS, message, at)
        self.image = image
        self.mask = mask


@dataclass(frozen=True, slots=True)
class PreparedInputs:
    """A job's pictures, checked and in its folder.

    Attributes:
        names: of each picture, see `picture_refs` -> file name within the job's input folder.
        pixels: of all of them together.
        shown: name of each picture -> how it is told of in the job; inline pictures by their hash.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    pixels: int = 0
    shown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Admitted:
    """A picture that was checked, its file's name in the job's folder, and how to tell of it if it was written here."""

    probe: Probe
    file_name: str
    shown: str | None


class Inputs:
    """Brings the pictures of requests into the file store."""

    def __init__(self, settings: Settings, files: Files, store: Store, uploads: Uploads, fetcher: Fetcher) -> None:
        self._settings = settings
        self._files = files
        self._store = store
        self._uploads = uploads
        self._fetcher = fetcher

    async def prepare(
        self,
        job_id: str,
        request: JobRequest,
        key: Key,
        *,
        at: str = "$",
        attached: Mapping[str, bytes] = MappingProxyType({}),
    ) -> PreparedInputs:
        """Bring all pictures of `request` into the folder of job `job_id`, and check them and what refers to them.

        Args:
            at: JSONPath of the request in what the client sent.
            attached: files that came with it, not from a client of ours: `attached:NAME` refers to one.

        Raises:
            ProtocolError: one is missing, not a picture, too large, not to be had, or does not fit the others; or
                `not_ready`: they cannot be kept where others have them. Nothing is left behind here.
        """
        refs = picture_refs(request)
        if not refs:
            return PreparedInputs()
        folder = await anyio.to_thread.run_sync(self._files.inputs, job_id)
        try:
            names, probes, shown = {}, {}, {}
            for name, ref in refs.items():
                place = f"{at}.params.{name}"
                part = folder / f"{name}.part"
                own = attached.get(ref.removeprefix(_ATTACHED)) if ref.startswith(_ATTACHED) else None
                if own is None:
                    shown[name] = await self._bring(ref, part, key, place)
                # In one go: each trip to a thread costs more than most of this does.
                found = await anyio.to_thread.run_sync(self._admit, own, part, name, place)
                probes[name], names[name] = found.probe, found.file_name
                if found.shown is not None:
                    shown[name] = found.shown
            _check_fit(request, probes, at)
            await self._files.share(folder / name for name in names.values())
        except BaseException:
            await self.discard(job_id)
            raise
        return PreparedInputs(names, sum(found.width * found.height for found in probes.values()), shown)

    def _admit(self, own: bytes | None, part: Path, name: str, at: str) -> "_Admitted":
        """Check a picture and give its file its name. Blocks.

        Args:
            own: written to `part` first.

        Raises:
            ProtocolError: see `probe`.
        """
        shown = None if own is None else _write(own, part)
        found = probe(part, self._settings.max_pixels, at=at)
        path = part.with_name(name + SUFFIXES[found.media_type])
        part.rename(path)
        self._files.secure(path)
        return _Admitted(found, path.name, shown)

    async def discard(self, job_id: str) -> None:
        """Remove what `prepare` made for a job that has not come into being."""
        await anyio.to_thread.run_sync(self._files.remove_job, job_id)

    async def _bring(self, ref: str, part: Path, key: Key, at: str) -> str:
        """Write what `ref` refers to into `part`; returns how to tell of it."""
        name = at.rsplit(".", 1)[-1]
        if ref.startswith(("http://", "https://")):
            await self._fetcher.fetch(ref, part, at=at)
            return ref if len(ref) <= _SHOWN_REF else ref[:_SHOWN_REF]
        if ref.startswith("upload:"):
            await self._link(await self._upload(ref, key, at), part, name, at)
            return ref
        if ref.startswith("job:"):
            await self._link(await self._output(ref, key, at), part, name, at)
            return ref
        return await anyio.to_thread.run_sync(_decode_inline, ref, part, self._settings.max_upload_bytes, at)

    async def _upload(self, ref: str, key: Key, at: str) -> Path:
        upload_id = ref.removeprefix("upload:")
        row = await self._uploads.find(upload_id, key.id, timestamp()) if is_id(upload_id) else None
        if row is None:
            raise _not_there(at, f"there is no upload {upload_id!r:.60}, it has expired, or it is not yours")
        return self._files.upload(upload_id)

    async def _output(self, ref: str, key: Key, at: str) -> Path:
        match = _JOB_OUTPUT.fullmatch(ref)
        job = await self._store.job(match["id"], key.id) if match else None
        if match is None or job is None:
            raise _not_there(at, f"{ref!r:.60} is no job of yours; expected job:ID/N")
        for output in job.outputs:
            if output.index == int(match["number"]):
                return self._files.output(job.id, output.index, output.media_type, output.sha256)
        raise _not_there(at, f"job {job.id} has {len(job.outputs)} outputs so far, and none numbered {match['number']}")

    async def _link(self, source: Path, part: Path, name: str, at: str) -> None:
        await self._files.bring(source)
        try:
            await anyio.to_thread.run_sync(link_or_copy, source, part)
        except FileNotFoundError:
            raise _not_there(at, f"the file behind {name} is gone") from None


def _not_there(at: str, reason: str) -> ProtocolError:
    return ProtocolError(ErrorCode.INVALID_PARAMS, f"{at.rsplit('.', 1)[-1]}: {reason}, at {at}", at)


def _decode_inline(ref: str, part: Path, max_bytes: int, at: str) -> str:
    """Decode base64 or a data URL into `part`; returns how to tell of it. Blocks."""
    name = at.rsplit(".", 1)[-1]
    text = ref
    if ref.startswith("data:"):
        match = _DATA_URL.match(ref)
        if match is None or match["base64"] is None:
            raise ProtocolError(ErrorCode.BAD_IMAGE, f"{name}: expected a data URL with base64 at {at}", at)
        text = ref[match.end() :]
    if len(text) * 3 // 4 > max_bytes:
        raise ProtocolError(ErrorCode.TOO_LARGE, f"{name}: larger than the allowed {max_bytes} bytes at {at}", at)
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        forms = "base64, a data URL, an http(s) URL, upload:ID or job:ID/N"
        raise ProtocolError(ErrorCode.BAD_IMAGE, f"{name}: expected {forms}, got {ref[:40]!r} at {at}", at) from None
    return _write(content, part)


def _write(content: bytes, part: Path) -> str:
    """Write a picture that came with the request; returns how to tell of it. Blocks."""
    part.write_bytes(content)
    return f"inline:{hashlib.sha256(content).hexdigest()[:16]}"


def _check_fit(request: JobRequest, probes: Mapping[str, Probe], at: str) -> None:
    """What refers to the picture must lie within it."""
    if "image" not in probes:
        return
    params, image = request.params, probes["image"]
    size = f"{image.width} x {image.height}"
    mask = probes.get("mask")
    fits_any = isinstance(params, InpaintParams) and params.fit_mask
    if mask is not None and not fits_any and (mask.width, mask.height) != (image.width, image.height):
        raise MaskMisfit(image, mask, f"{at}.params.mask")
    regions: list[tuple[str, Region]] = []
    if isinstance(params, EraseParams | RemoveTextParams | InpaintParams):
        regions = [(f"regions[{number}]", region) for number, region in enumerate(params.regions or ())]
        if isinstance(params, InpaintParams) and params.area is not None:
            regions.append(("area", params.area))
    elif isinstance(params, SegmentParams):
        regions = [("box", params.box)] if params.box is not None else []
        for number, point in enumerate(params.points):
            if point.x >= image.width or point.y >= image.height:
                place = f"{at}.params.points[{number}]"
                message = f"points: expected within the image, {size}, got {point.x:g}, {point.y:g} at {place}"
                raise ProtocolError(ErrorCode.INVALID_PARAMS, message, place)
    for name, region in regions:
        is_inside = region.x < image.width and region.y < image.height
        if not is_inside or region.x + region.width <= 0 or region.y + region.height <= 0:
            place = f"{at}.params.{name}"
            message = f"{name}: expected a rectangle that meets the image, {size}, at {place}"
            raise ProtocolError(ErrorCode.INVALID_PARAMS, message, place)
