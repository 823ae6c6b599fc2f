"""The tools: words for a picture, which comes in a form or in JSON, and a mask of what is in it."""

import base64
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

import anyio.to_thread
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from protocol.errors import ErrorCode, ProtocolError
from protocol.requests import TaskName
from service.dialects.base import Desk
from service.dialects.fooocus.answers import json_answer
from service.dialects.fooocus.choices import MaskModel
from service.dialects.fooocus.fields import Growth, Share
from service.dialects.fooocus.form import form_of
from service.dialects.fooocus.notes import Notes
from service.dialects.fooocus.pictures import needed_picture
from service.dialects.fooocus.regions import clothes_of, sam_model
from service.dialects.reading import Foreign, missing, parse, read_json, read_query
from service.dialects.stored_file import StoredFile

_LABELS = {"dialect": "fooocus_tools"}
"""These jobs are none of the history's."""


class ImageType(StrEnum):
    """What kind of picture is to be described."""

    PHOTO = "Photo"
    ANIME = "Anime"


_STYLES: Final[Mapping[ImageType, str]] = {ImageType.PHOTO: "photo", ImageType.ANIME: "anime"}


class _Described(Foreign):
    """What a form says beside its picture, or the query of it."""

    image_type: ImageType | None = None
    type: ImageType | None = None
    """As the documents call it."""


class _DescribeRequest(Foreign):
    """The same as JSON."""

    image: str
    image_type: ImageType = ImageType.PHOTO


class GenerateMaskRequest(Foreign):
    """`POST /v1/tools/generate_mask`."""

    image: str
    mask_model: MaskModel = MaskModel.ISNET_GENERAL_USE
    cloth_category: str = "full"
    dino_prompt_text: str = ""
    sam_model: str = "vit_b"
    box_threshold: Share = 0.3
    text_threshold: Share = 0.25
    sam_max_detections: int = Field(0, ge=0, le=10)
    dino_erode_or_dilate: Growth = 0
    dino_debug: bool = False


class _Asked(NamedTuple):
    """A picture to describe."""

    picture: bytes
    kind: ImageType


async def describe_image(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    asked = await _asked(request, desk)
    params = {"image": asked.picture, "style": _STYLES[asked.kind]}
    job = await desk.run(TaskName.DESCRIBE, params, key=key, request=request, labels=_LABELS)
    return JSONResponse({"describe": description(desk.output(job))})


async def _asked(request: Request, desk: Desk) -> _Asked:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        asked = await read_json(request, _DescribeRequest)
        return _Asked(await needed_picture(desk, asked.image, "image"), asked.image_type)
    query = read_query(request, _Described)
    form = await form_of(request)
    if "image" not in form.files:
        raise missing("body", "image", body=form.echo())
    texts = {name: given[-1] for name, given in form.texts.items()}
    said = parse(_Described, texts, body=form.echo(), is_flat=True)
    kind = query.image_type or query.type or said.image_type or said.type
    return _Asked(form.files["image"], kind or ImageType.PHOTO)


def description(output: StoredFile) -> str:
    """What the task `describe` found, in one line."""
    data: Any = output.data or {}
    tags = [str(tag["tag"]) for tag in data.get("tags", ())]
    return str(data.get("caption") or ", ".join(tags))


async def generate_mask(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    asked = await read_json(request, GenerateMaskRequest)
    notes = Notes()
    params: dict[str, Any] = {"image": await needed_picture(desk, asked.image, "image")}
    if asked.dino_debug:
        notes.add("debugging_unused", "dino_debug: the mask of the boxes is not made")
    if asked.mask_model is MaskModel.SAM:
        task, params = TaskName.SEGMENT, {**params, **_searched(asked, notes)}
    else:
        task, params = TaskName.REMOVE_BACKGROUND, {**params, **_subject(asked, notes)}
    job = await desk.submit(task, params, key=key, labels=_LABELS, notes=tuple(notes))
    ended = await desk.finish(job, key, request=request)
    content = await anyio.to_thread.run_sync((await desk.file(ended)).path.read_bytes)
    return await json_answer(request, base64.b64encode(content).decode())


def _subject(asked: GenerateMaskRequest, notes: Notes) -> dict[str, Any]:
    params = {"model": asked.mask_model.value, "result": "mask", "format": "png"}
    if asked.mask_model is MaskModel.U2NET_CLOTH_SEG:
        params["clothes"] = clothes_of(asked.cloth_category, "cloth_category", notes)
    return params


def _searched(asked: GenerateMaskRequest, notes: Notes) -> dict[str, Any]:
    """
    Raises:
        ProtocolError: `invalid_params`: nothing is named.
    """
    text = asked.dino_prompt_text.strip(" .,;\n")
    if not text:
        message = "dino_prompt_text: expected names of what to look for, got none"
        raise ProtocolError(ErrorCode.INVALID_PARAMS, message, "$.dino_prompt_text")
    return {
        "text": text,
        "model": sam_model(asked.sam_model, "sam_model", notes),
        "box_threshold": float(asked.box_threshold),
        "text_threshold": float(asked.text_threshold),
        "max_detections": asked.sam_max_detections,
        "grow_box_px": asked.dino_erode_or_dilate,
    }
