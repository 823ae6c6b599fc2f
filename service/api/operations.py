"""What every route of our own API takes and answers. A test holds this table and the routes together."""

from typing import Final

from protocol.errors import ErrorCode
from protocol.jobs import JobStatus
from protocol.requests import TaskName
from service.api.archives import ARCHIVE_OPERATIONS
from service.api.model_operations import MODEL_OPERATIONS
from service.api.openapi import JSON, Answer, Content, Operation, Parameter, Schema, ref
from service.api.operation_parts import IDEMPOTENCY_KEY, JOB, PREFER, SUBMITTED, choices
from service.api.presets import PRESET_OPERATIONS
from service.api.recipes import RECIPE_OPERATIONS
from service.api.server import SERVER_OPERATIONS
from service.api.styles import STYLE_OPERATIONS
from service.api.uploads import UPLOAD_OPERATIONS
from service.auth import Scope
from service.jobs import MAX_PAGE

TAGS: Final = {
    "jobs": "Submit, list, wait for, watch and cancel.",
    "pictures": "What goes in, and what comes out.",
    "models": "Which there are; load, unload and download them.",
    "server": "Health, metrics, and these documents.",
}

_ID: Final[Schema] = {"type": "string", "format": "uuid"}
_SECONDS: Final[Schema] = {"type": "number", "minimum": 0, "default": 0}
_TEXT: Final[Schema] = {"type": "string"}
_PICTURES: Final = ("image/png", "image/jpeg", "image/webp")


def _object(required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": required.split()}


SCHEMAS: Final[dict[str, Schema]] = {
    "Upload": _object(
        "id ref media_type width height size_bytes expires_at",
        id=_ID,
        ref={"type": "string", "description": "`upload:ID`, to be given where a job takes a picture."},
        name=_TEXT,
        media_type={"type": "string", "description": "Found by looking at it."},
        width={"type": "integer", "minimum": 1, "description": "Upright."},
        height={"type": "integer", "minimum": 1},
        size_bytes={"type": "integer", "minimum": 1},
        expires_at={"type": "string", "format": "date-time"},
    ),
    "EventPage": _object(
        "events seq status done",
        events={"type": "array", "items": ref("Event")},
        seq={"type": "integer", "description": "Pass as `after` next time."},
        status={"type": "string", "enum": [status.value for status in JobStatus]},
        done={"type": "boolean", "description": "Nothing comes after these."},
    ),
    "Health": _object("status version protocol", status={"const": "ok"}, version=_TEXT, protocol={"type": "integer"}),
    "Readiness": _object(
        "ready problems engine queued",
        ready={"type": "boolean"},
        problems={"type": "array", "items": _TEXT},
        engine=_object(
            "status device live_jobs live_bytes budget_bytes",
            status=_TEXT,
            device=_TEXT,
            live_jobs={"type": "integer"},
            live_bytes={"type": "integer"},
            budget_bytes={"type": "integer"},
        ),
        queued={"type": "object", "additionalProperties": {"type": "integer"}, "description": "Waiting jobs by class."},
    ),
}

_JOB_ID: Final = Parameter(name="job_id", where="path", description="The job's id.", schema=_ID)
_WAIT: Final = Parameter(
    name="wait", where="query", description="Seconds to wait; the server has a limit of its own.", schema=_SECONDS
)
_SUBMIT_ERRORS: Final = (
    ErrorCode.MALFORMED,
    ErrorCode.INVALID_PARAMS,
    ErrorCode.UNKNOWN_TASK,
    ErrorCode.MODEL_MISSING,
    ErrorCode.BAD_MODEL,
    ErrorCode.BAD_IMAGE,
    ErrorCode.IMAGE_TOO_LARGE,
    ErrorCode.FETCH_FAILED,
    ErrorCode.IDEMPOTENCY_MISMATCH,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.TOO_LARGE,
    ErrorCode.QUEUE_FULL,
    ErrorCode.DRAINING,
    ErrorCode.NOT_READY,
)


def _page(operation_id: str, path: str, summary: str, media_type: str) -> Operation:
    return Operation(
        id=operation_id,
        method="GET",
        path=path,
        tag="server",
        summary=summary,
        answers=(Answer(status=200, content=Content(description="The document.", media={media_type: {}})),),
    )


OPERATIONS: Final = (
    Operation(
        id="submitJob",
        method="POST",
        path="/v1/jobs",
        tag="jobs",
        summary="Submit a job",
        description="The job is stored before it is answered: an accepted job is not lost, whatever happens.",
        scope=Scope.JOBS_WRITE,
        parameters=(IDEMPOTENCY_KEY, PREFER),
        body=Content(description="What to do.", media={JSON: ref("JobRequest")}),
        answers=SUBMITTED,
        errors=_SUBMIT_ERRORS,
    ),
    Operation(
        id="listJobs",
        method="GET",
        path="/v1/jobs",
        tag="jobs",
        summary="List one's own jobs, newest first",
        scope=Scope.JOBS_READ,
        parameters=(
            choices("status", "Only jobs of these statuses.", JobStatus),
            choices("task", "Only jobs of these tasks.", TaskName),
            Parameter(
                name="q",
                where="query",
                description="Only jobs whose prompt has each of these words somewhere in it.",
                schema={"type": "string", "maxLength": 200},
            ),
            Parameter(
                name="label",
                where="query",
                description="Only jobs with this label, as NAME:VALUE.",
                schema={"type": "string", "pattern": "^[^:]+:"},
            ),
            Parameter(
                name="limit",
                where="query",
                description="Jobs on a page.",
                schema={"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 50},
            ),
            Parameter(
                name="cursor",
                where="query",
                description="`next` of the page before. Any id does: the jobs before it follow.",
                schema=_ID,
            ),
        ),
        answers=(Answer(status=200, content=Content(description="One page.", media={JSON: ref("JobPage")})),),
        errors=(ErrorCode.INVALID_PARAMS,),
    ),
    Operation(
        id="getJob",
        method="GET",
        path="/v1/jobs/{job_id}",
        tag="jobs",
        summary="Look at a job, or wait for its end",
        scope=Scope.JOBS_READ,
        parameters=(_JOB_ID, _WAIT),
        answers=(Answer(status=200, content=Content(description="The job as it is now, ended or not.", media=JOB)),),
        errors=(ErrorCode.NOT_FOUND, ErrorCode.INVALID_PARAMS),
    ),
    Operation(
        id="cancelJob",
        method="DELETE",
        path="/v1/jobs/{job_id}",
        tag="jobs",
        summary="Ask that a job be cancelled",
        description="The `job.cancelled` event says that it was.",
        scope=Scope.JOBS_WRITE,
        parameters=(_JOB_ID,),
        answers=(Answer(status=202, content=Content(description="Asked.", media=JOB)),),
        errors=(ErrorCode.NOT_FOUND, ErrorCode.ALREADY_ENDED),
    ),
    Operation(
        id="skipImage",
        method="POST",
        path="/v1/jobs/{job_id}/skip",
        tag="jobs",
        summary="Ask that a running job leave out the image it is at",
        description="The `output.skipped` event says that it did; the job goes on with its next image. Asked before "
        "the first image is begun, that one is left out.",
        scope=Scope.JOBS_WRITE,
        parameters=(_JOB_ID,),
        answers=(Answer(status=202, content=Content(description="Asked.", media=JOB)),),
        errors=(ErrorCode.NOT_FOUND, ErrorCode.ALREADY_ENDED, ErrorCode.INVALID_PARAMS),
    ),
    Operation(
        id="forgetJob",
        method="DELETE",
        path="/v1/jobs/{job_id}/record",
        tag="jobs",
        summary="Remove an ended job with all it has",
        description="Its facts, inputs and outputs go now, instead of when it expires. Those who watch all jobs of the "
        "key are told by `job.removed`.",
        scope=Scope.JOBS_WRITE,
        parameters=(_JOB_ID,),
        answers=(Answer(status=204, content=Content(description="It is gone.", media={})),),
        errors=(ErrorCode.NOT_FOUND, ErrorCode.NOT_ENDED, ErrorCode.NOT_READY),
    ),
    Operation(
        id="watchJob",
        method="GET",
        path="/v1/jobs/{job_id}/events",
        tag="jobs",
        summary="Watch a job: Server-Sent Events, or a JSON long poll",
        description="Facts after `after`, then the latest hints, then live events. A client that was cut off passes "
        "the last `seq` it has, and misses and repeats nothing.",
        scope=Scope.JOBS_READ,
        parameters=(
            _JOB_ID,
            Parameter(
                name="after",
                where="query",
                description="The last `seq` the client has.",
                schema={"type": "integer", "minimum": 0, "default": 0},
            ),
            Parameter(
                name="Last-Event-ID",
                where="header",
                description="The same, as an EventSource sends it when it comes back.",
                schema={"type": "integer", "minimum": 0},
            ),
            _WAIT,
            Parameter(
                name="n",
                where="query",
                description="Long poll: the last `n` of a hint the client has; a newer hint ends the wait.",
                schema={"type": "integer", "minimum": 0},
            ),
            Parameter(
                name="previews",
                where="query",
                description="`inline` puts previews into the events as base64; else they are had by their URL.",
                schema={"type": "string", "enum": ["inline"]},
            ),
        ),
        answers=(
            Answer(
                status=200,
                content=Content(
                    description="By `Accept`: a stream whose `data` are events, or a page of events.",
                    media={JSON: ref("EventPage"), "text/event-stream": {"type": "string"}},
                ),
            ),
            Answer(status=204, content=Content(description="Stream: nothing comes after `after`.", media={})),
        ),
        errors=(ErrorCode.NOT_FOUND, ErrorCode.INVALID_PARAMS),
    ),
    Operation(
        id="getPreview",
        method="GET",
        path="/v1/jobs/{job_id}/preview",
        tag="pictures",
        summary="The latest preview of a running job",
        scope=Scope.JOBS_READ,
        parameters=(_JOB_ID,),
        answers=(
            Answer(status=200, content=Content(description="A thumbnail.", media={"image/jpeg": {}, "image/png": {}})),
        ),
        errors=(ErrorCode.NOT_FOUND,),
    ),
    Operation(
        id="getOutput",
        method="GET",
        path="/v1/jobs/{job_id}/outputs/{number}",
        tag="pictures",
        summary="An output of a job",
        description="Pictures are converted if `Accept` names another format than they have. With `max_side_px` they "
        "are made small: WebP, unless `Accept` has it otherwise.",
        scope=Scope.JOBS_READ,
        parameters=(
            _JOB_ID,
            Parameter(
                name="number",
                where="path",
                description="The output's index, from 0.",
                schema={"type": "integer", "minimum": 0},
            ),
            Parameter(
                name="max_side_px",
                where="query",
                description="Its longest side; a smaller picture stays as large as it is.",
                schema={"type": "integer", "minimum": 16, "maximum": 2048},
            ),
        ),
        answers=(
            Answer(
                status=200,
                content=Content(description="The file.", media={name: {} for name in (*_PICTURES, JSON)}),
                headers={"ETag": "Of this output in this format and size; it never changes."},
            ),
            Answer(status=206, content=Content(description="The range asked for.", media={})),
            Answer(status=304, content=Content(description="The client has it already.", media={})),
        ),
        errors=(ErrorCode.NOT_FOUND, ErrorCode.NOT_ACCEPTABLE, ErrorCode.INVALID_PARAMS),
    ),
    Operation(
        id="upload",
        method="POST",
        path="/v1/uploads",
        tag="pictures",
        summary="Upload a picture",
        description="The body is the file itself. It is checked before it is answered: a whole picture of a known "
        "format, not too large.",
        scope=Scope.JOBS_WRITE,
        parameters=(
            Parameter(name="name", where="query", description="Shown in listings; no file is named so.", schema=_TEXT),
        ),
        body=Content(description="The file.", media={name: {} for name in (*_PICTURES, "application/octet-stream")}),
        answers=(Answer(status=201, content=Content(description="Kept.", media={JSON: ref("Upload")})),),
        errors=(ErrorCode.BAD_IMAGE, ErrorCode.IMAGE_TOO_LARGE, ErrorCode.TOO_LARGE, ErrorCode.MALFORMED),
    ),
    *UPLOAD_OPERATIONS,
    *ARCHIVE_OPERATIONS,
    *RECIPE_OPERATIONS,
    *MODEL_OPERATIONS,
    *STYLE_OPERATIONS,
    *PRESET_OPERATIONS,
    *SERVER_OPERATIONS,
    Operation(
        id="live",
        method="GET",
        path="/v1/health/live",
        tag="server",
        summary="Whether the server runs",
        answers=(Answer(status=200, content=Content(description="It does.", media={JSON: ref("Health")})),),
    ),
    Operation(
        id="ready",
        method="GET",
        path="/v1/health/ready",
        tag="server",
        summary="Whether the server can work on jobs",
        answers=(
            Answer(status=200, content=Content(description="It can.", media={JSON: ref("Readiness")})),
            Answer(status=503, content=Content(description="It cannot.", media={JSON: ref("Readiness")})),
        ),
    ),
    _page("metrics", "/metrics", "Metrics for Prometheus", "text/plain"),
    _page("openapi", "/openapi.json", "This document", JSON),
    _page("asyncapi", "/asyncapi.json", "The WebSocket half of the protocol (AsyncAPI 3.0)", JSON),
    _page("index", "/", "The page for people", "text/html"),
    Operation(
        id="webFile",
        method="GET",
        path="/web/{path}",
        tag="server",
        summary="What the page for people is made of",
        parameters=(
            Parameter(name="path", where="path", description="Of the file. It may hold slashes.", schema=_TEXT),
        ),
        answers=(
            Answer(
                status=200,
                content=Content(description="The file.", media={"text/javascript": {}, "text/css": {}}),
                headers={"ETag": "Of the file as it is sent."},
            ),
            Answer(status=304, content=Content(description="The client has it already.", media={})),
        ),
        errors=(ErrorCode.NOT_FOUND,),
    ),
    _page("docs", "/docs", "This document, to try things out", "text/html"),
    _page("redoc", "/redoc", "This document, to read", "text/html"),
    _page("errors", "/docs/errors", "Every error code", "text/html"),
)
