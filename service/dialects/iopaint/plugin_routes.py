"""The endpoints of the plugins, and the one that changes a mask."""

from typing import Any, Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from protocol.jobs import Job
from protocol.requests import TaskName
from protocol.retouching import MaskOperation, MaskShape
from service.auth import Key
from service.dialects.base import Desk
from service.dialects.iopaint import plugins, requests
from service.dialects.iopaint.answers import LABELS, file_answer, picture_in, route
from service.dialects.iopaint.choices import Choices
from service.dialects.iopaint.painted_mask import painted
from service.dialects.reading import read_json
from service.dialects.refusal import Refused

_MOST_GROWTH_PX: Final = 256
_PLUGIN_GROWTH_PX: Final = 4
"""A mask from a plugin is widened by this, squarely."""
_PLUGIN_THRESHOLD: Final = 129
_ADJUST_THRESHOLD: Final = 127


async def switch_plugin_model(request: Request) -> Response:
    desk = Desk.of(request)
    await desk.key_of(request)
    asked = await read_json(request, requests.SwitchPluginModelRequest)
    if asked.plugin_name in desk.services.settings.iopaint_plugins and asked.plugin_name in plugins.PLUGINS:
        plugin = plugins.PLUGINS[asked.plugin_name]
        may_fetch = desk.services.settings.allow_model_downloads
        Choices.of(request).switch_plugin(plugin, asked.model_name, await _present(desk), may_fetch=may_fetch)
    return JSONResponse(None)  # also for a plugin that is not there, as the original


async def run_plugin_gen_image(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    asked = await read_json(request, requests.RunPluginRequest)
    plugin = plugins.plugin_named(asked.name, desk.services.settings.iopaint_plugins)
    if plugin.image is None:
        raise Refused(422, "Plugin does not support output image")
    job = await _plugged(desk, key, request, asked, plugin, plugin.image)
    return file_answer(await desk.file(job))


async def run_plugin_gen_mask(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    asked = await read_json(request, requests.RunPluginRequest)
    plugin = plugins.plugin_named(asked.name, desk.services.settings.iopaint_plugins)
    if plugin.mask is None:
        raise Refused(422, "Plugin does not support output image")
    found = await _plugged(desk, key, request, asked, plugin, plugin.mask)
    params = {
        "mask": f"job:{found.id}/0",
        "operation": MaskOperation.EXPAND.value,
        "by_px": _PLUGIN_GROWTH_PX,
        "shape": MaskShape.BOX.value,
        "threshold": _PLUGIN_THRESHOLD,
    }
    return await _adjusted(desk, key, request, params)


async def _plugged(
    desk: Desk, key: Key, request: Request, asked: requests.RunPluginRequest, plugin: plugins.Plugin, make: plugins.Make
) -> Job:
    """The work of a plugin, done, with the model it uses."""
    work = make(asked)
    present = await _present(desk)
    model = Choices.of(request).plugin_model(plugin, present)
    params = {
        **work.params,
        **plugin.served[model].chosen(present),
        **plugins.extras(plugin, desk.services.settings.iopaint_plugins),
        "image": await picture_in(desk, asked.image, "image"),
    }
    return await desk.run(work.task, params, key=key, request=request, labels=LABELS)


async def _present(desk: Desk) -> set[str]:
    """Names of the models whose weights are on this server."""
    return {model.name for model in (await desk.services.models.list()).models if model.is_present}


async def adjust_mask(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    asked = await read_json(request, requests.AdjustMaskRequest)
    growth_px = 0 if asked.operate is requests.MaskOperation.REVERSE else asked.kernel_size
    if not 0 <= growth_px <= _MOST_GROWTH_PX:
        raise Refused(422, f"kernel_size: expected 0..{_MOST_GROWTH_PX}, got {asked.kernel_size}")
    params = {
        "mask": await picture_in(desk, asked.mask, "mask"),
        "operation": MaskOperation(asked.operate.value).value,
        "by_px": growth_px,
        "threshold": _ADJUST_THRESHOLD,
    }
    return await _adjusted(desk, key, request, params)


async def _adjusted(desk: Desk, key: Key, request: Request, params: dict[str, Any]) -> Response:
    job = await desk.run(TaskName.ADJUST_MASK, params, key=key, request=request, labels=LABELS)
    content = await anyio.to_thread.run_sync(painted, (await desk.file(job)).path)
    return Response(content, media_type="image/png")


ROUTES: Final = (
    route("POST", "/api/v1/switch_plugin_model", switch_plugin_model),
    route("POST", "/api/v1/run_plugin_gen_mask", run_plugin_gen_mask),
    route("POST", "/api/v1/run_plugin_gen_image", run_plugin_gen_image),
    route("POST", "/api/v1/adjust_mask", adjust_mask),
)
