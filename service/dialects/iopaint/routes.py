"""The endpoints of IOPaint: each reads a foreign request, has a task of ours do it, and answers as the original."""

import mimetypes
from functools import partial
from typing import Any, Final, NamedTuple

import anyio.to_thread
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from protocol.requests import TaskName
from protocol.retouching import MaskOperation, MaskShape
from service.api.requests import body_chunks
from service.auth import Key, Scope
from service.dialects.base import Desk, StoredFile
from service.dialects.iopaint import inpainting, plugins, requests, web_app
from service.dialects.iopaint.choices import Choices
from service.dialects.iopaint.errors import EXCEPTION_HANDLERS, Endpoint, Refused, answered
from service.dialects.iopaint.files import MediaFolders, Tab
from service.dialects.iopaint.gen_info import gen_info
from service.dialects.iopaint.inpainting import Pictures
from service.dialects.iopaint.pictures import decode_picture, painted, size_of
from service.dialects.iopaint.samplers import SAMPLERS
from service.dialects.iopaint.socketio import PATH as SOCKET_IO
from service.dialects.iopaint.socketio import SocketIo
from service.dialects.iopaint.viewers import ViewerCookie
from service.profiles import Cors, Dialect

LABELS: Final = {"dialect": "iopaint"}
"""On every job of this dialect."""
_THREADED_FROM_CHARACTERS: Final = 1 << 16
_MOST_GROWTH_PX: Final = 256
_PLUGIN_GROWTH_PX: Final = 4
"""A mask from a plugin is widened by this, squarely."""
_PLUGIN_THRESHOLD: Final = 129
_ADJUST_THRESHOLD: Final = 127


async def server_config(request: Request) -> Response:
    desk = Desk.of(request)
    await desk.key_of(request, Scope.JOBS_READ)
    settings, choices = desk.services.settings, Choices.of(request)
    folders = MediaFolders.of(settings)
    models = await choices.models(desk)
    told: dict[str, Any] = {
        "plugins": [plugin.shown() for plugin in plugins.enabled(settings.iopaint_plugins)],
        "modelInfos": [model.shown() for model in models],
    }
    for plugin in plugins.PLUGINS.values():
        if plugin.model_key is not None and plugin.models_key is not None:
            told[plugin.model_key] = choices.plugin_model(plugin)
            told[plugin.models_key] = list(plugin.models)
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
    asked = await requests.read_body(request, requests.SwitchModelRequest)
    choices = Choices.of(request)
    current = await choices.current(desk)
    if asked.name == current.name:
        return JSONResponse(current.shown())
    model = await choices.find(desk, asked.name)
    if model.is_diffusion:
        await desk.run(TaskName.LOAD_MODEL, {"model": model.name}, key=key, request=request, labels=LABELS)
    choices.model = model.name
    return JSONResponse(model.shown())


async def samplers(request: Request) -> Response:
    await Desk.of(request).key_of(request, Scope.JOBS_READ)
    return JSONResponse(list(SAMPLERS))


async def inpaint(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    asked = await requests.read_body(request, requests.InpaintRequest)
    model = await Choices.of(request).current(desk)
    image = await _picture(desk, asked.image, "image")
    mask = await _picture(desk, asked.mask, "mask")
    pictures = Pictures(image, mask, size_of(image, "image"))
    order = inpainting.order(asked, model, pictures, quality=desk.services.settings.iopaint_quality)
    progress = SocketIo.of(request).progress(request, key)
    job = await desk.run(order.task, order.params, key=key, request=request, labels=LABELS, on_event=progress.on_event)
    await progress.finish()
    return _file(desk.output(job), headers={"X-Seed": str(order.seed)})


async def switch_plugin_model(request: Request) -> Response:
    desk = Desk.of(request)
    await desk.key_of(request)
    asked = await requests.read_body(request, requests.SwitchPluginModelRequest)
    if asked.plugin_name in desk.services.settings.iopaint_plugins and asked.plugin_name in plugins.PLUGINS:
        Choices.of(request).switch_plugin(plugins.PLUGINS[asked.plugin_name], asked.model_name)
    return JSONResponse(None)  # also for a plugin that is not there, as the original


async def run_plugin_gen_image(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    asked = await requests.read_body(request, requests.RunPluginRequest)
    plugin = plugins.plugin_named(asked.name, desk.services.settings.iopaint_plugins)
    if plugin.image is None:
        raise Refused(422, "Plugin does not support output image")
    work = plugin.image(asked, Choices.of(request).plugin_model(plugin))
    image = await _picture(desk, asked.image, "image")
    job = await desk.run(work.task, {**work.params, "image": image}, key=key, request=request, labels=LABELS)
    return _file(desk.output(job))


async def run_plugin_gen_mask(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    asked = await requests.read_body(request, requests.RunPluginRequest)
    plugin = plugins.plugin_named(asked.name, desk.services.settings.iopaint_plugins)
    if plugin.mask is None:
        raise Refused(422, "Plugin does not support output image")
    work = plugin.mask(asked, Choices.of(request).plugin_model(plugin))
    image = await _picture(desk, asked.image, "image")
    found = await desk.run(work.task, {**work.params, "image": image}, key=key, request=request, labels=LABELS)
    params = {
        "mask": f"job:{found.id}/0",
        "operation": MaskOperation.EXPAND.value,
        "by_px": _PLUGIN_GROWTH_PX,
        "shape": MaskShape.BOX.value,
        "threshold": _PLUGIN_THRESHOLD,
    }
    return await _adjusted(desk, key, request, params)


async def adjust_mask(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    asked = await requests.read_body(request, requests.AdjustMaskRequest)
    growth_px = 0 if asked.operate is requests.MaskOperation.REVERSE else asked.kernel_size
    if not 0 <= growth_px <= _MOST_GROWTH_PX:
        raise Refused(422, f"kernel_size: expected 0..{_MOST_GROWTH_PX}, got {asked.kernel_size}")
    params = {
        "mask": await _picture(desk, asked.mask, "mask"),
        "operation": MaskOperation(asked.operate.value).value,
        "by_px": growth_px,
        "threshold": _ADJUST_THRESHOLD,
    }
    return await _adjusted(desk, key, request, params)


async def save_image(request: Request) -> Response:
    desk = Desk.of(request)
    await desk.key_of(request)
    file = await _upload(request)
    folders = MediaFolders.of(desk.services.settings)
    await anyio.to_thread.run_sync(folders.save, file.name, file.content)
    return JSONResponse(None)


async def read_gen_info(request: Request) -> Response:
    desk = Desk.of(request)
    await desk.key_of(request, Scope.JOBS_READ)
    found = await anyio.to_thread.run_sync(gen_info, (await _upload(request)).content)
    return JSONResponse(found._asdict())


async def input_image(request: Request) -> Response:
    desk = Desk.of(request)
    await desk.key_of(request, Scope.JOBS_READ)
    path = await anyio.to_thread.run_sync(MediaFolders.of(desk.services.settings).first_picture)
    return FileResponse(path, media_type=mimetypes.guess_type(path.name)[0] or "application/octet-stream")


class _MediaQuery(requests.Foreign):
    tab: Tab


class _MediaFileQuery(_MediaQuery):
    filename: str


class _ThumbnailQuery(_MediaFileQuery):
    width: int
    height: int


async def medias(request: Request) -> Response:
    folders = await _folders(request)
    asked = requests.read_query(request, _MediaQuery)
    return JSONResponse(await anyio.to_thread.run_sync(folders.listing, asked.tab))


async def media_file(request: Request) -> Response:
    folders = await _folders(request)
    asked = requests.read_query(request, _MediaFileQuery)
    path = await anyio.to_thread.run_sync(folders.picture, asked.tab, asked.filename)
    return FileResponse(path, media_type="image/png")  # whatever it is, as the original


async def media_thumbnail_file(request: Request) -> Response:
    folders = await _folders(request)
    asked = requests.read_query(request, _ThumbnailQuery)
    make = partial(folders.thumbnail, asked.tab, asked.filename, asked.width, asked.height)
    small = await anyio.to_thread.run_sync(make)
    sizes = {"X-Width": str(small.width), "X-Height": str(small.height)}
    return Response(small.content, media_type="image/jpeg", headers=sizes)


async def _folders(request: Request) -> MediaFolders:
    desk = Desk.of(request)
    await desk.key_of(request, Scope.JOBS_READ)
    return MediaFolders.of(desk.services.settings)


async def _picture(desk: Desk, text: str | None, name: str) -> bytes:
    decode = partial(decode_picture, text, name, desk.services.settings.max_upload_bytes)
    # A short text is decoded faster than a thread is found for it.
    return await anyio.to_thread.run_sync(decode) if len(text or "") > _THREADED_FROM_CHARACTERS else decode()


class _Upload(NamedTuple):
    name: str
    content: bytes


async def _upload(request: Request) -> _Upload:
    """The part `file` of a form.

    Raises:
        InvalidRequest: there is none.
        Refused: 400: the form cannot be read.
        ProtocolError: `too_large`.
    """
    limit = Desk.of(request).services.settings.max_upload_bytes
    chunks = body_chunks(request, limit)
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise requests.missing("body", "file")
    try:
        form = await MultiPartParser(request.headers, chunks).parse()
    except MultiPartException:
        raise Refused(400, "There was an error parsing the body") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise requests.missing("body", "file")
        return _Upload(file.filename or "", await file.read())
    finally:
        await form.close()


async def _adjusted(desk: Desk, key: Key, request: Request, params: dict[str, Any]) -> Response:
    job = await desk.run(TaskName.ADJUST_MASK, params, key=key, request=request, labels=LABELS)
    content = await anyio.to_thread.run_sync(painted, desk.output(job).path)
    return Response(content, media_type="image/png")


def _file(stored: StoredFile, headers: dict[str, str] | None = None) -> Response:
    media_type = stored.media_type.replace("x-portable-pixmap", "ppm")
    return FileResponse(stored.path, media_type=media_type, headers=headers)


def _route(method: str, path: str, endpoint: Endpoint) -> Route:
    route = Route(path, answered(endpoint), methods=[method])
    # Starlette adds HEAD to GET; the original answers it with 404.
    route.methods = {method}
    return route


ROUTES: Final = (
    _route("GET", "/api/v1/server-config", server_config),
    _route("GET", "/api/v1/model", current_model),
    _route("POST", "/api/v1/model", switch_model),
    _route("GET", "/api/v1/inputimage", input_image),
    _route("POST", "/api/v1/inpaint", inpaint),
    _route("POST", "/api/v1/switch_plugin_model", switch_plugin_model),
    _route("POST", "/api/v1/run_plugin_gen_mask", run_plugin_gen_mask),
    _route("POST", "/api/v1/run_plugin_gen_image", run_plugin_gen_image),
    _route("GET", "/api/v1/samplers", samplers),
    _route("POST", "/api/v1/adjust_mask", adjust_mask),
    _route("POST", "/api/v1/save_image", save_image),
    _route("POST", "/api/v1/gen-info", read_gen_info),
    _route("GET", "/api/v1/medias", medias),
    _route("GET", "/api/v1/media_file", media_file),
    _route("GET", "/api/v1/media_thumbnail_file", media_thumbnail_file),
    Route("/", web_app.index, methods=["GET"]),
    Route("/assets/{path:path}", web_app.asset, methods=["GET"]),
    Route("/{name}.{suffix}", web_app.asset, methods=["GET"]),
)

DIALECT: Final = Dialect(
    routes=ROUTES,
    exception_handlers=EXCEPTION_HANDLERS,
    cors=Cors(with_credentials=True, exposed_headers=("X-Seed",)),
    parts=(Choices, SocketIo),
    middleware=(Middleware(ViewerCookie, paths=("/", "/api/v1/server-config", "/api/v1/model")),),
    prefixes=("/api/", f"{SOCKET_IO}/", "/assets/"),
)
