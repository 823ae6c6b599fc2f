"""The generating endpoints: version 1 reads forms, but for text to image, version 2 JSON. The rest is the same."""

from collections.abc import Mapping, Sequence
from typing import Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from protocol.events import JobWarning
from service.auth import Key
from service.dialects.base import Desk
from service.dialects.fooocus.choices import MOST_GUIDES, Side
from service.dialects.fooocus.fields import ImagePrompt
from service.dialects.fooocus.pictures import needed_picture, picture_in
from service.dialects.fooocus.regions import EnhanceRegion
from service.dialects.fooocus.wishes import Guide, Wish
from service.dialects.fooocus_api.enhancing import EnhanceFields, EnhanceForm, EnhanceRequest
from service.dialects.fooocus_api.forms import Filled, read_form
from service.dialects.fooocus_api.generation import Asked, answer, wish_of
from service.dialects.fooocus_api.requests import (
    FormFields,
    ImagePromptForm,
    ImagePromptRequest,
    InpaintForm,
    InpaintRequest,
    TextToImageRequest,
    TextToImageWithIpRequest,
    UpscaleVaryForm,
    UpscaleVaryRequest,
)
from service.dialects.fooocus_api.states import JobType
from service.dialects.picture_size import size_of
from service.dialects.reading import missing, read_json

_GUIDE_NUMBERS: Final = range(1, MOST_GUIDES + 1)


async def text_to_image(request: Request) -> Response:
    key = await Desk.of(request).key_of(request)
    fields = await read_json(request, TextToImageRequest)
    return await answer(request, key, Asked(JobType.TEXT_TO_IMAGE, fields, wish_of(fields)))


async def text_to_image_with_ip(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    fields = await read_json(request, TextToImageWithIpRequest)
    guides = await _guides(desk, fields.image_prompts)
    return await answer(request, key, Asked(JobType.TEXT_TO_IMAGE, fields, wish_of(fields, guides=guides)))


async def upscale_vary_form(request: Request) -> Response:
    key = await Desk.of(request).key_of(request)
    form = await read_form(request, UpscaleVaryForm)
    if "input_image" not in form.files:
        raise missing("body", "input_image", body=form.echo)
    wish = wish_of(
        form.fields,
        picture=form.files["input_image"],
        method=form.fields.uov_method,
        factor=form.fields.upscale_value,
    )
    return await answer(request, key, Asked(JobType.UPSCALE_VARY, form.fields, wish, _misread(form)))


async def upscale_vary(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    fields = await read_json(request, UpscaleVaryRequest)
    wish = wish_of(
        fields,
        picture=await needed_picture(desk, fields.input_image, "input_image"),
        method=fields.uov_method,
        factor=fields.upscale_value,
        guides=await _guides(desk, fields.image_prompts),
    )
    return await answer(request, key, Asked(JobType.UPSCALE_VARY, fields, wish))


async def inpaint_outpaint_form(request: Request) -> Response:
    key = await Desk.of(request).key_of(request)
    form = await read_form(request, InpaintForm)
    if "input_image" not in form.files:
        raise missing("body", "input_image", body=form.echo)
    return await _repainted(request, key, JobType.INPAINT_OUTPAINT, form, form.fields.sides())


async def inpaint_outpaint(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    fields = await read_json(request, InpaintRequest)
    picture = await needed_picture(desk, fields.input_image, "input_image")
    return await _repainted_json(request, key, JobType.INPAINT_OUTPAINT, fields, picture)


async def image_prompt_form(request: Request) -> Response:
    key = await Desk.of(request).key_of(request)
    form = await read_form(request, ImagePromptForm)
    guides = tuple(
        _guide(form.files[f"cn_img{number}"], form.fields.guide(number))
        for number in _GUIDE_NUMBERS
        if f"cn_img{number}" in form.files
    )
    return await _repainted(request, key, JobType.IMAGE_PROMPT, form, form.fields.sides(), guides)


async def image_prompt(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    fields = await read_json(request, ImagePromptRequest)
    picture = await picture_in(desk, fields.input_image, "input_image")
    return await _repainted_json(request, key, JobType.IMAGE_PROMPT, fields, picture)


async def enhance_form(request: Request) -> Response:
    key = await Desk.of(request).key_of(request)
    form = await read_form(request, EnhanceForm)
    wish = _enhanced(form.fields, form.fields.regions(), form.files.get("enhance_input_image"))
    return await answer(request, key, Asked(JobType.ENHANCEMENT, form.fields, wish, _misread(form)))


async def enhance(request: Request) -> Response:
    desk = Desk.of(request)
    key = await desk.key_of(request)
    fields = await read_json(request, EnhanceRequest)
    picture = await picture_in(desk, fields.enhance_input_image, "enhance_input_image")
    wish = _enhanced(fields, fields.enhance_ctrlnets, picture)
    return await answer(request, key, Asked(JobType.ENHANCEMENT, fields, wish))


def _enhanced(
    fields: EnhanceFields | EnhanceRequest, regions: tuple[EnhanceRegion, ...], picture: bytes | None
) -> Wish:
    """A picture alone that has nothing to be found in it is varied or enlarged as everywhere."""
    enhancing = fields.enhancing(regions)
    is_plain = picture is not None and not enhancing.has_regions
    return wish_of(
        fields,
        picture=picture,
        method=fields.enhance_uov_method,
        enhancing=None if is_plain or not fields.enhance_checkbox else enhancing,
        enhances_picture=not is_plain,
    )


async def _repainted(
    request: Request,
    key: Key,
    kind: JobType,
    form: Filled[InpaintForm],
    sides: Mapping[Side, int],
    guides: tuple[Guide, ...] = (),
) -> Response:
    picture = form.files.get("input_image")
    wish = wish_of(
        form.fields,
        picture=picture,
        mask=form.files.get("input_mask"),
        size=await anyio.to_thread.run_sync(size_of, picture, "input_image") if picture is not None and sides else None,
        sides=sides,
        additional_prompt=form.fields.inpaint_additional_prompt or "",
        guides=guides,
    )
    return await answer(request, key, Asked(kind, form.fields, wish, _misread(form)))


async def _repainted_json(
    request: Request, key: Key, kind: JobType, fields: InpaintRequest | ImagePromptRequest, picture: bytes | None
) -> Response:
    desk, sides = Desk.of(request), fields.sides()
    wish = wish_of(
        fields,
        picture=picture,
        mask=await picture_in(desk, fields.input_mask, "input_mask"),
        size=await anyio.to_thread.run_sync(size_of, picture, "input_image") if picture is not None and sides else None,
        sides=sides,
        additional_prompt=fields.inpaint_additional_prompt or "",
        guides=await _guides(desk, fields.image_prompts),
    )
    return await answer(request, key, Asked(kind, fields, wish))


async def _guides(desk: Desk, prompts: Sequence[ImagePrompt]) -> tuple[Guide, ...]:
    """Those that have a picture."""
    found = []
    for number, prompt in enumerate(prompts):
        picture = await picture_in(desk, prompt.cn_img, f"image_prompts[{number}].cn_img")
        if picture is not None:
            found.append(_guide(picture, prompt))
    return tuple(found)


def _guide(picture: bytes, prompt: ImagePrompt) -> Guide:
    return Guide.with_defaults(picture, prompt.cn_type, prompt.cn_stop, prompt.cn_weight)


def _misread(form: Filled[FormFields]) -> Sequence[JobWarning]:
    return () if form.misread is None else (JobWarning(code="parameter_unused", message=form.misread),)
