"""What the server can work with: models, LoRAs and styles; and the way to give the memory of the device back."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from protocol.models import ModelKind
from service.auth import Scope
from service.dialects.base import Desk
from service.dialects.fooocus.answers import json_answer
from service.dialects.fooocus.shelf import Shelf, file_name
from service.profiles import part_of

_REASON = "asked by a client"


async def all_models(request: Request) -> Response:
    """Looks at the disk."""
    await Desk.of(request).key_of(request, Scope.JOBS_READ)
    known = await part_of(request, Shelf).look()
    return await json_answer(
        request,
        {
            "model_filenames": [file_name(model) for model in known.all(ModelKind.CHECKPOINT)],
            "lora_filenames": [file_name(model) for model in known.all(ModelKind.LORA)],
        },
    )


async def styles(request: Request) -> Response:
    await Desk.of(request).key_of(request, Scope.JOBS_READ)
    known = await part_of(request, Shelf).known()
    return await json_answer(request, list(known.styles))


async def clean_vram(request: Request) -> Response:
    """Ask that every model leave memory; those that jobs are using go when the last of them has ended."""
    desk = Desk.of(request)
    await desk.key_of(request, Scope.MODELS_WRITE)
    engine = desk.services.engine
    for name in engine.resident_models():
        engine.unload_model(name, _REASON)
    return JSONResponse({"message": "ok"})
