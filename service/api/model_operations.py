"""What the routes under `/v1/models` take and answer."""

from typing import Final

from protocol.errors import ErrorCode
from protocol.models import Arrived, ModelKind
from protocol.requests import TaskName
from service.api.openapi import JSON, Answer, Content, Operation, Parameter, ref
from service.api.operation_parts import IDEMPOTENCY_KEY, PREFER, SUBMITTED, choice
from service.auth import Scope

_MODEL: Final = {JSON: ref("ModelInfo")}
_MODEL_NAME: Final = Parameter(
    name="name",
    where="path",
    description="The model's name, or its `id` (`KIND:NAME`). It may hold slashes, as they are.",
    schema={"type": "string"},
)

MODEL_OPERATIONS: Final = (
    Operation(
        id="listModels",
        method="GET",
        path="/v1/models",
        tag="models",
        summary="Which models there are",
        description="Packaged ones, those in the server's folders, and those on their way. New files are seen at once.",
        scope=Scope.JOBS_READ,
        parameters=(
            choice("kind", "Only models of this kind.", ModelKind),
            choice("task", "Only models for this task.", TaskName),
        ),
        answers=(Answer(status=200, content=Content(description="All of them.", media={JSON: ref("ModelList")})),),
        errors=(ErrorCode.INVALID_PARAMS,),
    ),
    Operation(
        id="downloadModel",
        method="POST",
        path="/v1/models",
        tag="models",
        summary="Have a model file downloaded",
        description="`model.loading` events tell how far it is, `model.added` or `model.failed` how it ended. A repeat "
        "finds the download, or goes on where it broke off.",
        scope=Scope.MODELS_WRITE,
        body=Content(description="What, and from where.", media={JSON: ref("ModelDownload")}),
        answers=(
            Answer(
                status=202,
                content=Content(description="Begun.", media=_MODEL),
                headers={"Location": "The model."},
            ),
        ),
        errors=(
            ErrorCode.MALFORMED,
            ErrorCode.INVALID_PARAMS,
            ErrorCode.FETCH_FAILED,
            ErrorCode.MODEL_EXISTS,
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            ErrorCode.TOO_LARGE,
            ErrorCode.QUEUE_FULL,
            ErrorCode.DRAINING,
            ErrorCode.NOT_READY,
        ),
    ),
    Operation(
        id="getModel",
        method="GET",
        path="/v1/models/{name}",
        tag="models",
        summary="Look at one model",
        scope=Scope.JOBS_READ,
        parameters=(_MODEL_NAME,),
        answers=(Answer(status=200, content=Content(description="The model.", media=_MODEL)),),
        errors=(ErrorCode.NOT_FOUND, ErrorCode.INVALID_PARAMS),
    ),
    Operation(
        id="loadModel",
        method="POST",
        path="/v1/models/{name}/load",
        tag="models",
        summary="Submit a job that loads a model",
        description="The job is of the task `load_model`: it is watched and cancelled like any other.",
        scope=Scope.MODELS_WRITE,
        parameters=(_MODEL_NAME, IDEMPOTENCY_KEY, PREFER),
        answers=SUBMITTED,
        errors=(
            ErrorCode.NOT_FOUND,
            ErrorCode.INVALID_PARAMS,
            ErrorCode.MODEL_MISSING,
            ErrorCode.BAD_MODEL,
            ErrorCode.IDEMPOTENCY_MISMATCH,
            ErrorCode.QUEUE_FULL,
            ErrorCode.DRAINING,
            ErrorCode.NOT_READY,
        ),
    ),
    Operation(
        id="unloadModel",
        method="POST",
        path="/v1/models/{name}/unload",
        tag="models",
        summary="Ask that a model leave memory",
        description="One that jobs are using goes when the last of them has ended; `model.unloaded` tells when.",
        scope=Scope.MODELS_WRITE,
        parameters=(_MODEL_NAME,),
        answers=(Answer(status=202, content=Content(description="Asked: the model as it is now.", media=_MODEL)),),
        errors=(ErrorCode.NOT_FOUND, ErrorCode.INVALID_PARAMS),
    ),
    Operation(
        id="cancelDownload",
        method="DELETE",
        path="/v1/models/{name}/download",
        tag="models",
        summary="Cancel the download of a model",
        description="`model.failed` tells of it. What has arrived stays, and a repeated download goes on there, unless "
        "it is to be discarded; then the listing forgets it too. One that has failed can be discarded as well.",
        scope=Scope.MODELS_WRITE,
        parameters=(
            _MODEL_NAME,
            choice("arrived", "What becomes of what has arrived; by default it is kept.", Arrived),
        ),
        answers=(Answer(status=200, content=Content(description="Ended: how far it was.", media=_MODEL)),),
        errors=(ErrorCode.NOT_FOUND, ErrorCode.INVALID_PARAMS, ErrorCode.ALREADY_ENDED),
    ),
    Operation(
        id="hashModel",
        method="POST",
        path="/v1/models/{name}/hash",
        tag="models",
        summary="Compute the SHA-256 of a model",
        description="Reads the whole file, unless the hash is known; about a second per gigabyte from a fast disk.",
        scope=Scope.MODELS_WRITE,
        parameters=(_MODEL_NAME,),
        answers=(Answer(status=200, content=Content(description="The model, with its hash.", media=_MODEL)),),
        errors=(ErrorCode.NOT_FOUND, ErrorCode.INVALID_PARAMS),
    ),
)
