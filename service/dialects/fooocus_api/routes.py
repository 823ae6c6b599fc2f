"""The table of Fooocus-API: every path its clients call, those of older versions too."""

from collections.abc import Sequence
from typing import Final

from starlette.routing import BaseRoute, Route

from service.dialects.fooocus import engines, tools
from service.dialects.fooocus.errors import WITH_BODY
from service.dialects.fooocus.files import published_by
from service.dialects.fooocus.shelf import Shelf
from service.dialects.fooocus_api import endpoints, management
from service.dialects.fooocus_api.generation import JOB_HEADER
from service.dialects.fooocus_api.states import DIALECT_LABEL
from service.dialects.fooocus_api.webhooks import webhook_body
from service.dialects.webhook_form import webhook_form
from service.profiles import Cors, Dialect

ROUTES: Final[Sequence[BaseRoute]] = (
    Route("/", management.root, methods=["GET"]),
    Route("/ping", management.ping, methods=["GET"]),
    Route("/v1/generation/text-to-image", endpoints.text_to_image, methods=["POST"]),
    Route("/v1/generation/image-upscale-vary", endpoints.upscale_vary_form, methods=["POST"]),
    Route("/v1/generation/image-inpaint-outpaint", endpoints.inpaint_outpaint_form, methods=["POST"]),
    # As it was spelt until version 0.3.2x.
    Route("/v1/generation/image-inpait-outpaint", endpoints.inpaint_outpaint_form, methods=["POST"]),
    Route("/v1/generation/image-prompt", endpoints.image_prompt_form, methods=["POST"]),
    Route("/v1/generation/image-enhance", endpoints.enhance_form, methods=["POST"]),
    Route("/v2/generation/text-to-image-with-ip", endpoints.text_to_image_with_ip, methods=["POST"]),
    Route("/v2/generation/image-upscale-vary", endpoints.upscale_vary, methods=["POST"]),
    Route("/v2/generation/image-inpaint-outpaint", endpoints.inpaint_outpaint, methods=["POST"]),
    Route("/v2/generation/image-inpait-outpaint", endpoints.inpaint_outpaint, methods=["POST"]),
    Route("/v2/generation/image-prompt", endpoints.image_prompt, methods=["POST"]),
    Route("/v2/generation/image-enhance", endpoints.enhance, methods=["POST"]),
    Route("/v1/tools/describe-image", tools.describe_image, methods=["POST"]),
    Route("/v1/tools/generate_mask", tools.generate_mask, methods=["POST"]),
    Route("/v1/generation/query-job", management.query_job, methods=["GET"]),
    Route("/v1/generation/job-queue", management.job_queue, methods=["GET"]),
    # As the documents have it.
    Route("/v1/engines/job-queue", management.job_queue, methods=["GET"]),
    Route("/v1/generation/job-history", management.job_history, methods=["GET"]),
    Route("/v1/generation/stop", management.stop, methods=["POST"]),
    Route("/v1/engines/all-models", engines.all_models, methods=["GET"]),
    # Removed in newer versions; clients call it still.
    Route("/v1/engines/refresh-models", engines.all_models, methods=["POST"]),
    Route("/v1/engines/styles", engines.styles, methods=["GET"]),
    Route("/v1/engines/clean_vram", engines.clean_vram, methods=["GET"]),
    Route("/files/{date}/{file_name}", published_by(DIALECT_LABEL), methods=["GET"]),
)

DIALECT: Final = Dialect(
    routes=ROUTES,
    exception_handlers=WITH_BODY,
    cors=Cors(exposed_headers=(JOB_HEADER,)),
    prefixes=("/v1/generation/", "/v1/engines/", "/v1/tools/", "/v2/", "/files/", "/ping"),
    parts=(Shelf, webhook_form(DIALECT_LABEL, webhook_body)),
)
