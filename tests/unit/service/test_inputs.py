"""Wherever a client says its pictures are, they end up checked, as files of the job, or nothing is left behind."""

import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import OutputReady
from protocol.ids import new_id
from protocol.requests import parse_job_request
from service.auth import LOCAL
from service.files import Files
from service.inputs import Inputs, MaskMisfit, PreparedInputs
from service.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def picture(width: int = 20, height: int = 10, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, kind)
    return out.getvalue()


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


PNG = picture()
REGION = {"x": 1, "y": 1, "width": 3, "height": 3}


class OneJob:
    """What `Inputs` needs of a job in the store."""

    def __init__(self, job_id: str) -> None:
        self.id = job_id
        self.outputs = (
            OutputReady(index=2, url="u", media_type="image/png", size_bytes=1, sha256="0", width=1, height=1),
        )


class Shelf:
    """A store that knows one job, uploads with one of them, and a fetcher that has one picture."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.files = Files(tmp_path)
        self.upload_id, self.job_id, self.new = new_id(), new_id(), new_id()
        self.settings = Settings(data_dir=tmp_path, max_pixels=1000, max_upload_bytes=4000)
        self.inputs = Inputs(self.settings, self.files, self, self, self)  # type: ignore[arg-type] # all it uses of them
        path = self.files.upload(self.upload_id)
        path.parent.mkdir(parents=True)
        path.write_bytes(PNG)
        self.files.write(self.job_id, 2, "image/png", PNG)

    async def find(self, upload_id: str, key_id: str, _now: str) -> dict[str, Any] | None:
        return {"id": upload_id} if (upload_id, key_id) == (self.upload_id, LOCAL.id) else None

    async def job(self, job_id: str, _key_id: str) -> OneJob | None:
        return OneJob(job_id) if job_id == self.job_id else None

    async def fetch(self, url: str, part: Path, *, at: str) -> None:
        if url != "https://example.org/a.jpg":
            raise ProtocolError(ErrorCode.FETCH_FAILED, "image: not there", at)
        part.write_bytes(picture(kind="JPEG"))

    async def prepare(self, task: str = "upscale", **params: Any) -> PreparedInputs:
        request = parse_job_request({"task": task, "params": params})
        return await self.inputs.prepare(self.new, request, LOCAL, at="$.job")

    @property
    def left_over(self) -> list[Path]:
        return [path for path in (self.folder / "jobs").rglob("*") if path.name == self.new]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


async def refusal(shelf: Shelf, task: str = "upscale", **params: Any) -> ProtocolError:
    with pytest.raises(ProtocolError) as refused:
        await shelf.prepare(task, **params)
    assert shelf.left_over == []
    return refused.value


@pytest.mark.parametrize(
    "ref", [text(PNG), "data:image/png;base64," + text(PNG), text(PNG)[:40] + "\n" + text(PNG)[40:]]
)
async def test_an_inline_picture_becomes_a_file_and_is_told_of_by_its_hash(shelf: Shelf, ref: str) -> None:
    prepared = await shelf.prepare(image=ref)
    assert prepared.names == {"image": "image.png"}
    assert prepared.pixels == 200
    assert prepared.shown == {"image": f"inline:{hashlib.sha256(PNG).hexdigest()[:16]}"}
    assert [path.name for path in shelf.files.inputs(shelf.new).iterdir()] == ["image.png"]
    assert (shelf.files.inputs(shelf.new) / "image.png").read_bytes() == PNG


async def test_a_picture_that_came_beside_the_request_is_told_of_by_its_hash(shelf: Shelf) -> None:
    request = parse_job_request({"task": "upscale", "params": {"image": "attached:0"}})
    prepared = await shelf.inputs.prepare(shelf.new, request, LOCAL, attached={"0": PNG})
    assert prepared.shown == {"image": f"inline:{hashlib.sha256(PNG).hexdigest()[:16]}"}
    assert (shelf.files.inputs(shelf.new) / "image.png").read_bytes() == PNG


async def test_a_client_can_refer_to_no_picture_that_did_not_come_along(shelf: Shelf) -> None:
    assert (await refusal(shelf, image="attached:0")).code is ErrorCode.BAD_IMAGE


async def test_a_mask_of_another_size_is_told_with_both_sizes(shelf: Shelf) -> None:
    misfit = await refusal(shelf, "erase", image=text(PNG), mask=text(picture(5, 7)))
    assert isinstance(misfit, MaskMisfit)
    assert (misfit.mask.width, misfit.mask.height) == (5, 7)
    assert misfit.image.width * misfit.image.height == 200


async def test_uploads_and_earlier_outputs_are_shared_not_copied(shelf: Shelf) -> None:
    sources = {
        f"upload:{shelf.upload_id}": shelf.files.upload(shelf.upload_id),
        f"job:{shelf.job_id}/2": shelf.files.output(shelf.job_id, 2, "image/png"),
    }
    for ref, source in sources.items():
        shelf.new = new_id()
        prepared = await shelf.prepare(image=ref)
        assert prepared.shown == {"image": ref}
        assert (shelf.files.inputs(shelf.new) / "image.png").samefile(source)


async def test_a_fetched_picture_is_named_for_what_it_is(shelf: Shelf) -> None:
    prepared = await shelf.prepare(image="https://example.org/a.jpg")
    assert prepared.names == {"image": "image.jpg"}
    assert prepared.shown == {"image": "https://example.org/a.jpg"}


async def test_a_mask_of_another_size_is_taken_where_it_is_to_be_fitted(shelf: Shelf) -> None:
    about = {"prompt": "a cat", "image": text(PNG), "mask": text(picture(5, 7))}
    assert isinstance(await refusal(shelf, "inpaint", **about), MaskMisfit)
    prepared = await shelf.prepare("inpaint", **about, fit_mask=True)
    assert set(prepared.names) == {"image", "mask"}


async def test_image_and_mask_are_both_brought_and_counted(shelf: Shelf) -> None:
    prepared = await shelf.prepare("erase", image=text(PNG), mask=f"upload:{shelf.upload_id}")
    assert prepared.names == {"image": "image.png", "mask": "mask.png"}
    assert prepared.pixels == 400


async def test_pictures_in_lists_are_brought_and_told_of_by_their_place(shelf: Shelf) -> None:
    controls = [{"model": "edges", "image": text(PNG)}, {"model": "depth", "image": f"upload:{shelf.upload_id}"}]
    prepared = await shelf.prepare("text_to_image", prompt="a cat", controls=controls)
    assert prepared.names == {
        "controls[0].image": "controls[0].image.png",
        "controls[1].image": "controls[1].image.png",
    }
    assert prepared.shown["controls[0].image"].startswith("inline:")
    assert prepared.shown["controls[1].image"] == f"upload:{shelf.upload_id}"
    assert all((shelf.files.inputs(shelf.new) / name).read_bytes() == PNG for name in prepared.names.values())
    assert prepared.pixels == 400


async def test_a_bad_picture_in_a_list_is_refused_by_its_place(shelf: Shelf) -> None:
    controls = [{"model": "edges", "image": text(PNG)}, {"model": "depth", "image": text(b"no picture")}]
    error = await refusal(shelf, "text_to_image", prompt="a cat", controls=controls)
    assert error.code is ErrorCode.BAD_IMAGE
    assert error.field == "$.job.params.controls[1].image"


async def test_a_task_without_pictures_leaves_no_folder(shelf: Shelf) -> None:
    assert await shelf.prepare("test_pattern") == PreparedInputs()
    assert shelf.left_over == []


@pytest.mark.parametrize(
    ("ref", "code", "said"),
    [
        ("not base64 at all!", ErrorCode.BAD_IMAGE, "expected base64, a data URL"),
        ("data:image/png,plain", ErrorCode.BAD_IMAGE, "expected a data URL with base64"),
        (text(b"no picture"), ErrorCode.BAD_IMAGE, "image"),
        (text(PNG[: len(PNG) // 2]), ErrorCode.BAD_IMAGE, "image"),
        (text(picture(100, 100)), ErrorCode.IMAGE_TOO_LARGE, "image"),
        (text(b"x" * 5000), ErrorCode.TOO_LARGE, "larger than the allowed 4000 bytes"),
        ("https://example.org/none", ErrorCode.FETCH_FAILED, "not there"),
        ("upload:" + "0" * 36, ErrorCode.INVALID_PARAMS, "there is no upload"),
        ("upload:../../etc/passwd", ErrorCode.INVALID_PARAMS, "there is no upload"),
        ("job:nothing/0", ErrorCode.INVALID_PARAMS, "is no job of yours"),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_what_is_no_picture_of_the_callers_is_refused_and_nothing_is_left(
    shelf: Shelf, ref: str, code: ErrorCode, said: str
) -> None:
    error = await refusal(shelf, image=ref)
    assert (error.code, error.field) == (code, "$.job.params.image")
    assert said in error.message


async def test_an_output_that_is_not_there_is_refused_by_number(shelf: Shelf) -> None:
    error = await refusal(shelf, image=f"job:{shelf.job_id}/0")
    assert "has 1 outputs so far, and none numbered 0" in error.message


async def test_a_picture_whose_file_has_expired_meanwhile_is_refused(shelf: Shelf) -> None:
    shelf.files.remove_upload(shelf.upload_id)
    error = await refusal(shelf, image=f"upload:{shelf.upload_id}")
    assert (error.code, error.field) == (ErrorCode.INVALID_PARAMS, "$.job.params.image")


async def test_a_bad_mask_takes_the_good_image_with_it(shelf: Shelf) -> None:
    error = await refusal(shelf, "erase", image=text(PNG), mask=text(b"x"))
    assert error.field == "$.job.params.mask"


@pytest.mark.parametrize(
    ("task", "params", "place"),
    [
        ("erase", {"mask": text(picture(10, 20))}, "mask"),
        ("erase", {"regions": [REGION, {**REGION, "x": 20}]}, "regions[1]"),
        ("erase", {"regions": [{**REGION, "y": -3}]}, "regions[0]"),
        ("remove_text", {"regions": [{**REGION, "y": 10}]}, "regions[0]"),
        ("remove_text", {"regions": [{**REGION, "x": -3}]}, "regions[0]"),
        ("segment", {"box": {**REGION, "x": -9}}, "box"),
        ("segment", {"points": [{"x": 1, "y": 1}, {"x": 20.5, "y": 1}]}, "points[1]"),
    ],
)
async def test_what_lies_outside_the_picture_is_refused_by_its_place(
    shelf: Shelf, task: str, params: dict[str, Any], place: str
) -> None:
    error = await refusal(shelf, task, image=text(PNG), **params)
    assert (error.code, error.field) == (ErrorCode.INVALID_PARAMS, f"$.job.params.{place}")
    assert "20 x 10" in error.message


@pytest.mark.parametrize("x", [-2, 19])
async def test_a_region_that_only_touches_the_picture_is_accepted(shelf: Shelf, x: int) -> None:
    assert (await shelf.prepare("erase", image=text(PNG), regions=[{**REGION, "x": x}])).names
