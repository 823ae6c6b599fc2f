"""What a job of ours is to clients of FooocusAPI: a row of its history, or the object of a task that runs."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import anyio.to_thread
import orjson

from protocol.jobs import Job, JobStatus
from service.auth import Key
from service.conversion import converted_bytes
from service.dialects.base import Desk
from service.dialects.fooocus.choices import MOST_GUIDES, MOST_LORAS, NONE
from service.dialects.fooocus.file_names import path_of
from service.dialects.fooocus.regions import EnhanceRegion
from service.dialects.fooocus.seeds import seed_told
from service.dialects.fooocus.sizes import size_in
from service.dialects.fooocus_engine.names import input_name, number_of, task_id_of
from service.dialects.fooocus_engine.progress import progress_of
from service.dialects.fooocus_engine.requests import ControlNetImage, EngineRequest
from service.dialects.fooocus_engine.wish import Pictures, Tab

DIALECT_LABEL: Final = "fooocus_engine"
"""On every job of this dialect, as `dialect`."""
STATUS: Final[Mapping[JobStatus, str | None]] = {
    # A row that waits says nothing yet, as in the original.
    JobStatus.QUEUED: None,
    JobStatus.RUNNING: "running",
    JobStatus.SUCCEEDED: "finished",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "stop",
}
"""Total."""
_MOST_REGIONS: Final = 3
_IMAGE_FIELDS: Final = ("uov_input_image", "inpaint_input_image", "inpaint_mask_image_upload", "enhance_input_image")
_ON_ITS_WAY: Final = -1


def asked(fields: EngineRequest, pictures: Pictures, tab: Tab) -> dict[str, Any]:
    """A request as it is kept with its job: with the defaults, and for each picture the hash of its file."""
    size = size_in(fields.aspect_ratios_selection)
    loras = [part for lora in fields.loras for part in (lora.enabled, lora.model_name, lora.weight)]
    padding = [True, NONE, 1.0] * (MOST_LORAS - len(fields.loras))
    guides = [
        {**guide.model_dump(mode="json"), "cn_img": _hash(pictures.guides.get(number))}
        for number, guide in enumerate(fields.controlnet_image)
    ]
    no_guide = {**ControlNetImage().model_dump(mode="json"), "cn_img": ""}
    regions = [region.model_dump(mode="json") for region in fields.enhance_ctrls]
    return {
        **fields.model_dump(mode="json"),
        "aspect_ratios_selection": f"{size.width}×{size.height}",
        "loras": [*loras, *padding],
        "input_image_checkbox": True,
        "invert_mask_checkbox": False,
        "inpaint_advanced_masking_checkbox": pictures.mask is not None,
        "current_tab": tab.value,
        "uov_input_image": _hash(pictures.uov),
        "inpaint_input_image": _hash(pictures.inpaint),
        "inpaint_mask_image_upload": _hash(pictures.mask),
        "enhance_input_image": _hash(pictures.enhance),
        "controlnet_image": [*guides, *[no_guide] * (MOST_GUIDES - len(guides))],
        "enhance_ctrls": [*regions, *[EnhanceRegion().model_dump(mode="json")] * (_MOST_REGIONS - len(regions))],
    }


def pending(job: Job) -> dict[str, Any]:
    """What is answered at once to whoever asks later."""
    return {
        "id": _ON_ITS_WAY,
        "task_id": task_id_of(job),
        "req_params": {},
        "in_queue_mills": _ON_ITS_WAY,
        "start_mills": _ON_ITS_WAY,
        "finish_mills": _ON_ITS_WAY,
        "task_status": "pending",
        "progress": _ON_ITS_WAY,
        "preview": "",
        "webhook_url": "",
        "result": [],
    }


def row(desk: Desk, job: Job, request: Mapping[str, Any], base_url: str | None = None) -> dict[str, Any]:
    """A task in the history. What is not known before its end is null.

    Args:
        request: as `asked` made it.
        base_url: of the server as its client calls it; by default as the one who submitted the job called it.
    """
    has_ended = job.status.is_terminal
    told = {
        "id": number_of(job),
        "task_id": task_id_of(job),
        "req_params": _params(desk, job, request, base_url),
        "in_queue_mills": _mills(job.created_at),
        "start_mills": _mills(job.started_at) if has_ended else None,
        "finish_mills": _mills(job.finished_at),
        "task_status": STATUS[job.status] if has_ended else None,
        "progress": 100 if has_ended else None,
        "webhook_url": request.get("webhook_url") or "",
        "result": urls(desk, job, base_url) if has_ended else None,
    }
    return told if job.error is None else {**told, "error": _error(job)}


async def current(
    desk: Desk, job: Job, key: Key, request: Mapping[str, Any], base_url: str | None = None
) -> dict[str, Any]:
    """A task that runs, with its newest preview."""
    step = desk.step(job.id, key)
    return {
        "id": _ON_ITS_WAY,
        "task_id": task_id_of(job),
        "req_params": _params(desk, job, request, base_url),
        "in_queue_mills": _mills(job.created_at),
        "start_mills": _mills(job.started_at),
        "finish_mills": _ON_ITS_WAY,
        "task_status": STATUS[JobStatus.RUNNING],
        "progress": float(progress_of(job, step).percent),
        "preview": await _preview(desk, job, key),
        "webhook_url": request.get("webhook_url") or "",
        "result": urls(desk, job, base_url),
    }


def urls(desk: Desk, job: Job, base_url: str | None = None) -> list[str]:
    """Where the pictures of a job so far can be had."""
    base = _base(desk, job, base_url)
    return [f"{base}/outputs/{path_of(job, ready.index)}" for ready in job.outputs]


def _params(desk: Desk, job: Job, request: Mapping[str, Any], base_url: str | None) -> dict[str, Any]:
    """The request, with an address for each picture that the job has."""
    kept, base = orjson.dumps(job.params).decode(), _base(desk, job, base_url)

    def address(digest: str) -> str:
        # A picture that had no effect is none of the job's.
        return f"{base}/inputs/{input_name(job, digest)}" if digest and f"inline:{digest[:16]}" in kept else ""

    shown = dict(request)
    for name in _IMAGE_FIELDS:
        shown[name] = address(shown.get(name) or "")
    guides = shown.get("controlnet_image") or []
    shown["controlnet_image"] = [{**guide, "cn_img": address(guide["cn_img"])} for guide in guides]
    if "image_seed" in shown:
        shown["image_seed"] = seed_told(job, shown["image_seed"])
    return shown


def _error(job: Job) -> dict[str, str]:
    assert job.error is not None
    return {"code": job.error.code.value, "message": job.error.message}


def _base(desk: Desk, job: Job, base_url: str | None) -> str:
    return (desk.services.settings.fooocus_base_url or base_url or job.labels.get("base_url", "")).rstrip("/")


async def _preview(desk: Desk, job: Job, key: Key) -> str:
    """A PNG in base64; empty where there is none yet."""
    shown = desk.services.jobs.preview(job.id, key)
    if shown is None:
        return ""
    return base64.b64encode(await anyio.to_thread.run_sync(converted_bytes, shown[0], "image/png")).decode()


def _mills(moment: str | None) -> int | None:
    """Milliseconds since the epoch."""
    return None if moment is None else int(datetime.fromisoformat(moment).timestamp() * 1000)


def _hash(picture: bytes | None) -> str:
    return "" if picture is None else hashlib.sha256(picture).hexdigest()
