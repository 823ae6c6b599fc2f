"""What was asked for and what came of it: `job-history`, in the short form, or in the long one of `--persistent`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from service.auth import Key
from service.dialects.base import Desk
from service.dialects.fooocus.choices import GUIDE_DEFAULTS, MOST_GUIDES, GuideKind, Side
from service.dialects.fooocus.pages import Page
from service.dialects.fooocus.seeds import seed_told
from service.dialects.fooocus.wishes import Wish
from service.dialects.fooocus_api.requests import QueryHistory
from service.dialects.fooocus_api.states import DIALECT_LABEL, FINISH_REASONS, JobType, url_of
from service.job_views import ForeignJob, JobTimes

_MOST: Final = 10_000
"""Jobs told of at once, where there are no pages."""
_EXPANSION_STYLE: Final = "Fooocus V2"
"""Not among the styles that are kept."""
NOTHING: Final[Mapping[str, Any]] = {"queue": [], "history": []}


def columns(wish: Wish) -> dict[str, Any]:
    """A request as the long form of the history shows it; kept with its job."""
    common, advanced = wish.common, wish.advanced
    usual = GUIDE_DEFAULTS[GuideKind.IMAGE_PROMPT]
    guides = [[guide.stop, guide.weight, guide.kind.value] for guide in wish.guides[:MOST_GUIDES]]
    padding = [[usual.stop, usual.weight, GuideKind.IMAGE_PROMPT.value]] * (MOST_GUIDES - len(guides))
    return {
        "refiner_switch": common.refiner_switch,
        "input_mask": None,
        "prompt": common.prompt,
        "loras": [[lora.enabled, lora.model_name, lora.weight] for lora in common.loras],
        "image_prompts": [*guides, *padding],
        "uov_method": wish.method.value,
        "negative_prompt": common.negative_prompt,
        "image_number": common.image_number,
        "upscale_value": wish.factor,
        "webhook_url": None,
        "style_selections": [style for style in common.style_selections if style != _EXPANSION_STYLE],
        "image_seed": common.image_seed,
        "inpaint_additional_prompt": wish.additional_prompt or None,
        "require_base64": common.require_base64,
        "performance_selection": common.performance_selection.value,
        "sharpness": common.sharpness,
        "outpaint_selections": [side.value for side in wish.sides],
        "async_process": None,
        "aspect_ratios_selection": common.aspect_ratios_selection,
        "guidance_scale": common.guidance_scale,
        **{f"outpaint_distance_{side.lower()}": wish.sides.get(side, 0) for side in Side},
        "base_model_name": common.base_model_name,
        "advanced_params": advanced.model_dump(mode="json"),
        "refiner_model_name": common.refiner_model_name,
        "input_image": None,
    }


async def history(desk: Desk, key: Key, asked: QueryHistory, base_url: str) -> Mapping[str, Any]:
    """The caller's jobs: those that have not ended, and those that have, a page of them or all."""
    store = desk.services.store
    waiting = await store.times_of_dialect(key.id, DIALECT_LABEL, has_ended=False, limit=_MOST)
    queue = [_short(job) for job in reversed(waiting) if asked.job_id in {None, job.id}]
    if desk.services.settings.fooocus_api_persistent:
        return {"history": [_long(desk, found, base_url) for found in await _page(desk, key, asked)], "queue": queue}
    ended = await store.times_of_dialect(key.id, DIALECT_LABEL, has_ended=True, limit=_MOST)
    return {"queue": queue, "history": [_short(job) for job in reversed(ended) if asked.job_id in {None, job.id}]}


async def _page(desk: Desk, key: Key, asked: QueryHistory) -> list[ForeignJob]:
    """Of jobs that have ended, newest first; or the one that is named."""
    store = desk.services.store
    if asked.job_id is None:
        page = Page.of(asked.page, asked.page_size)
        return await store.jobs_of_dialect(key.id, DIALECT_LABEL, has_ended=True, limit=page.size, offset=page.offset)
    job = await store.job(asked.job_id, key.visible)
    if job is None or job.labels.get("dialect") != DIALECT_LABEL or not job.status.is_terminal:
        return []
    return [ForeignJob(job, await store.asked(job.id))]


def _short(job: JobTimes) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "in_queue_mills": _mills(job.created_at),
        "start_mills": _mills(job.started_at),
        "finish_mills": _mills(job.finished_at),
        "is_finished": job.status.is_terminal,
    }


def _long(desk: Desk, found: ForeignJob, base_url: str) -> dict[str, Any]:
    job, params = found.job, dict(found.asked)
    if "image_seed" in params:
        params["image_seed"] = seed_told(job, params["image_seed"])
    finished = datetime.fromisoformat(job.finished_at or job.created_at).astimezone()
    return {
        "params": params,
        "task_info": {
            "task_id": job.id,
            "task_type": job.labels.get("job_type", JobType.TEXT_TO_IMAGE.value),
            "task_in_queue_mills": _mills(job.created_at),
            "task_start_mills": _mills(job.started_at),
            "task_finish_mills": _mills(job.finished_at),
            "result_url": ",".join(url_of(desk, job, ready.index, base_url) for ready in job.outputs),
            "finish_reason": FINISH_REASONS[job.status].value,
            "date_time": finished.strftime("%Y-%m-%d %H:%M:%S"),
        },
    }


def _mills(moment: str | None) -> int:
    """Milliseconds since the epoch; 0 for what has not been."""
    return 0 if moment is None else int(datetime.fromisoformat(moment).timestamp() * 1000)
