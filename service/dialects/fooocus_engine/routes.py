"""The dialect of FooocusAPI: every path its clients call, with and without the slash at its end."""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from service.dialects.fooocus import engines, tools
from service.dialects.fooocus.errors import EXCEPTION_HANDLERS
from service.dialects.fooocus.files import published_by
from service.dialects.fooocus.shelf import Shelf
from service.dialects.fooocus_engine import control, generation, inputs, tasks
from service.dialects.fooocus_engine.records import DIALECT_LABEL
from service.dialects.fooocus_engine.webhooks import webhook_body
from service.dialects.webhook_form import webhook_form
from service.profiles import Cors, Dialect


async def root(_request: Request) -> Response:
    return RedirectResponse("/docs", 307)


ROUTES: Final[Sequence[BaseRoute]] = (
    Route("/", root, methods=["GET"]),
    Route("/v1/engine/generate/", generation.generate, methods=["POST"]),
    Route("/v1/engine/generate", generation.generate, methods=["POST"]),
    Route("/v1/engine/control", control.control, methods=["POST"]),
    # As the documents have it.
    Route("/v1/engine/control/", control.control, methods=["POST"]),
    Route("/tasks", tasks.get_tasks, methods=["GET"]),
    Route("/tasks/", tasks.get_tasks, methods=["GET"]),
    Route("/tasks/{task_id}", tasks.get_task, methods=["GET"]),
    Route("/v1/engines/all-models", engines.all_models, methods=["GET"]),
    Route("/v1/engines/styles", engines.styles, methods=["GET"]),
    Route("/v1/tools/describe-image", tools.describe_image, methods=["POST"]),
    Route("/v1/tools/generate_mask", tools.generate_mask, methods=["POST"]),
    Route("/outputs/{date}/{file_name}", published_by(DIALECT_LABEL), methods=["GET"]),
    Route("/inputs/{file_name}", inputs.get_input, methods=["GET"]),
)

DIALECT: Final = Dialect(
    routes=ROUTES,
    exception_handlers=EXCEPTION_HANDLERS,
    cors=Cors(exposed_headers=(generation.JOB_HEADER,)),
    prefixes=("/v1/engine/", "/v1/engines/", "/v1/tools/", "/tasks", "/outputs/", "/inputs/"),
    parts=(Shelf, webhook_form(DIALECT_LABEL, webhook_body)),
)
