"""The endpoints of IOPaint: each reads a foreign request, has a task of ours do it, and answers as the original."""

from typing import Any, Final

import anyio.to_thread
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from protocol.requests import TaskName
from service.auth import Scope
from service.dialects.base import Desk
from service.dialects.iopaint import file_routes, inpainting, plugin_routes, plugins, requests, web_app
from service.dialects.iopaint.answers import LABELS, file_answer, picture_in, route
from service.dialects.iopaint.choices import Choices
from service.dialects.iopaint.errors import EXCEPTION_HANDLERS
from service.dialects.iopaint.files import MediaFolders
from service.dialects.iopaint.inpainting import Pictures
from service.dialects.iopaint.model_info import listed
from service.dialects.iopaint.samplers import SAMPLERS
from service.dialects.iopaint.socketio import PATH as SOCKET_IO
from service.dialects.iopaint.socketio import SocketIo
from service.dialects.iopaint.viewers import ViewerCookie
from service.dialects.listed_model import Editor, Listed
from service.dialects.picture_size import size_of
from service.dialects.reading import read_json
from service.profiles import Cors, Dialect


async def server_config(request: Request) -> Response:
    desk = Desk.of(request)
    await desk.key_of(request, Scope.JOBS_READ)
    settings, choices = desk.services.settings, Choices.of(request)
    folders = MediaFolders.of(settings)
    all_models = (await desk.services.models.list()).models
    present = {model.name for model in all_models if model.is_present}
    models = listed(all_models)
    told: dict[str, Any] = {
        "plugins": [plugin.shown() for plugin in plugins.enabled(settings.iopaint_plugins)],
        "modelInfos": [model.shown() for model in models],
    }
    for plugin in plugins.PLUGINS.values():
        if plugin.model_key is not None and plugin.models_key is not None:
            told[plugin.model_key] = choices.plugin_model(plugin, present)
            told[plugin.models_key] = list(plugin.listed)
    return JSONResponse(
        {
            **told,
            "enableFileManager": await anyio.to_thread.run_sync(lambda: folders.is_managed),
            "enableAutoSaving": settings.iopaint_output_dir is not None,
            "enableControlnet": False,
            "controlnetMethod": None,
            "disableModelSwitch": False,
            "isDesktop": False,
            "samplers": list(SAMPLERS),
        }
    )


async def current_model(request: Request) -> Response:
    desk = Desk.of(request)
    await desk.key_of(request, Scope.JOBS_READ)
    return JSONResponse((await Choices.of(request).current(desk)).shown())


async def switch_model(request: Request) -> Response:
    """Switch, for all. A diffusion model is loaded first: if that fails, everything stays as it was."""
    desk = Desk.of(request)
    key = await desk.key_of(request)
    asked = await read_json(request, requests.SwitchModelRequest)
    choices = Choices.of(request)
    current = await choices.current(desk)
    if asked.name == current.name:
        return JSONResponse(current.shown())
    model = await choices.find(desk, asked.name)
    if model.is_diffusion:
        await desk.run(TaskName.LOAD_MODEL, {"model": model.model}, key=key, request=request, labels=LABELS)
    choices.model = model.name
    return JSONResponse(model.shown())


async def samplers(request: Request) -> Response:
    await Desk.of(request).key_of(request, Scope.JOBS_READ)
    return JSONResponse(list(SAMPLERS))


async def inpaint(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    asked = await read_json(request, requests.InpaintRequest)
    model = await Choices.of(request).current(desk)
    image = await picture_in(desk, asked.image, "image")
    mask = await picture_in(desk, asked.mask, "mask")
    example = await example_in(desk, asked, model)
    pictures = Pictures(image, mask, size_of(image, "image"), example)
    order = inpainting.order(asked, model, pictures, quality=desk.services.settings.iopaint_quality)
    progress = SocketIo.of(request).progress(request, key)
    job = await desk.run(order.task, order.params, key=key, request=request, labels=LABELS, on_event=progress.on_event)
    await progress.finish()
    return file_answer(await desk.file(job), headers={"X-Seed": str(order.seed)})


async def example_in(desk: Desk, asked: requests.InpaintRequest, model: Listed) -> bytes | None:
    """The picture of what to paint; one that came for a diffusion model of another kind goes along, and is told of."""
    needs_one = model.editor is Editor.PAINT_BY_EXAMPLE
    if not needs_one and not (model.is_diffusion and asked.paint_by_example_example_image):
        return None
    return await picture_in(desk, asked.paint_by_example_example_image, "paint_by_example_example_image")


ROUTES: Final = (
    route("GET", "/api/v1/server-config", server_config),
    route("GET", "/api/v1/model", current_model),
    route("POST", "/api/v1/model", switch_model),
    route("POST", "/api/v1/inpaint", inpaint),
    route("GET", "/api/v1/samplers", samplers),
    *plugin_routes.ROUTES,
    *file_routes.ROUTES,
    Route("/", web_app.index, methods=["GET"]),
    Route("/assets/{path:path}", web_app.asset, methods=["GET"]),
    Route("/favicon.ico", web_app.asset, methods=["GET"]),
)

DIALECT: Final = Dialect(
    routes=ROUTES,
    exception_handlers=EXCEPTION_HANDLERS,
    cors=Cors(with_credentials=True, exposed_headers=("X-Seed",)),
    parts=(Choices, SocketIo),
    middleware=(Middleware(ViewerCookie, paths=("/", "/api/v1/server-config", "/api/v1/model")),),
    prefixes=("/api/", f"{SOCKET_IO}/", "/assets/"),
)
