"""Pictures of the real engine and the model that comes with it, as clients of Fooocus-API ask for them."""

import io
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.recipes import read_recipe
from tests.dialects.fooocus_api.callers import TEXT, mask
from tests.dialects.fooocus_api.conftest import PROFILE
from tests.dialects.jobs import ended
from tests.dialects.pictures import b64, opened, png
from tests.servers import DEADLINE_S, thread_server

INPAINT = "/v2/generation/image-inpaint-outpaint"
FEW_STEPS = {"overwrite_step": 2}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("pictures")
    with (
        thread_server(folder / "data", listen=PROFILE, engine="torch", device="cpu", cpu_threads=1) as server,
        server.client() as client,
    ):
        client.timeout = httpx.Timeout(12 * DEADLINE_S)
        yield client


def made(client: httpx.Client, path: str = TEXT, **fields: Any) -> tuple[list[np.ndarray[Any, Any]], dict[str, Any]]:
    """The pictures of a request, (H, W, 3), and the job of ours that made them."""
    body = {
        "prompt": "a red apple",
        "image_seed": 7,
        "aspect_ratios_selection": "64*64",
        "advanced_params": FEW_STEPS,
        **fields,
    }
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    pictures = [np.asarray(opened(client.get(item["url"]).content).convert("RGB"), np.int16) for item in answer.json()]
    return pictures, ended(client, answer.headers["X-Job-Id"])


def test_a_seed_makes_the_same_picture_again_and_the_next_image_has_the_next_seed(client: httpx.Client) -> None:
    (first, second), job = made(client, image_number=2)
    assert [output["seed"] for output in job["outputs"]] == [7, 8]
    ((again,), _), ((next_seed,), _) = made(client), made(client, image_seed=8)
    assert np.array_equal(first, again)
    assert np.array_equal(second, next_seed)
    assert not np.array_equal(first, second)
    (same, also), _ = made(client, image_number=2, advanced_params={**FEW_STEPS, "disable_seed_increment": True})
    assert np.array_equal(same, also)


def test_steps_and_size_are_those_of_the_performance_or_those_that_overwrite_them(client: httpx.Client) -> None:
    _, speed = made(client, advanced_params={})
    _, overwritten = made(client, advanced_params={**FEW_STEPS, "overwrite_width": 96, "overwrite_height": 32})
    assert [job["outputs"][0]["data"]["steps"] for job in (speed, overwritten)] == [30, 2]
    assert (overwritten["outputs"][0]["width"], overwritten["outputs"][0]["height"]) == (96, 32)


def test_only_what_is_masked_and_its_soft_edge_is_repainted(client: httpx.Client) -> None:
    source = np.asarray(opened(png(160, 120)).convert("RGB"), np.int16)
    (picture,), job = made(client, INPAINT, input_image=b64(png(160, 120)), input_mask=b64(mask(160, 120)))
    assert job["task"] == "inpaint"
    hole = np.asarray(opened(mask(160, 120)).convert("L")) > 127
    assert not np.array_equal(picture[hole], source[hole])
    columns = np.flatnonzero(hole.any(axis=0))
    beyond = columns[-1] + 34  # the edge is soft for 32 px outside the mask
    assert np.abs(picture[:, beyond:] - source[:, beyond:]).max() <= 1


def test_a_mask_of_another_size_marks_the_same_part_of_the_picture(client: httpx.Client) -> None:
    (picture,), _ = made(client, INPAINT, input_image=b64(png()), input_mask=b64(mask()))
    (smaller,), _ = made(client, INPAINT, input_image=b64(png()), input_mask=b64(mask(32, 24)))
    assert np.array_equal(picture, smaller)


def test_a_picture_is_continued_by_three_tenths_and_stays_in_its_place(client: httpx.Client) -> None:
    source = np.asarray(opened(png()).convert("RGB"), np.int16)
    (picture,), _ = made(client, INPAINT, input_image=b64(png()), outpaint_selections=["Left"])
    assert picture.shape == (48, 64 + 19, 3)
    assert np.abs(picture[:, -20:] - source[:, -20:]).max() <= 1


def test_a_strong_variation_is_further_from_the_picture_than_a_subtle_one(client: httpx.Client) -> None:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(buffer, "PNG")
    source = np.asarray(opened(buffer.getvalue()), np.int16)
    distances = []
    for method in ("Vary (Subtle)", "Vary (Strong)"):
        (picture,), job = made(
            client,
            "/v2/generation/image-upscale-vary",
            input_image=b64(buffer.getvalue()),
            uov_method=method,
            advanced_params={"overwrite_step": 8},
        )
        size = job["outputs"][0]["width"], job["outputs"][0]["height"]
        shown = np.asarray(Image.fromarray(source.astype(np.uint8)).resize(size), np.int16)
        distances.append(np.abs(picture - shown).mean())
    assert distances[0] < distances[1]


def test_a_file_says_nothing_of_how_it_was_made_where_that_is_not_wanted(client: httpx.Client) -> None:
    body = {"prompt": "a red apple", "aspect_ratios_selection": "64*64", "advanced_params": FEW_STEPS}
    (item,) = client.post(TEXT, json={**body, "save_meta": False}).json()
    assert "parameters" not in opened(client.get(item["url"]).content).info


@pytest.mark.parametrize(("scheme", "extension"), [("fooocus", "png"), ("a111", "jpg"), ("a1111", "webp")])
def test_files_say_what_they_were_made_with_in_the_scheme_asked_for(
    client: httpx.Client, scheme: str, extension: str
) -> None:
    fields = {"save_meta": True, "meta_scheme": scheme, "save_extension": extension, "style_selections": []}
    body = {"prompt": "a red apple", "image_seed": 7, "aspect_ratios_selection": "64*64", "advanced_params": FEW_STEPS}
    answer = client.post(TEXT, json={**body, **fields})
    assert answer.status_code == 200, answer.text
    found = read_recipe(client.get(answer.json()[0]["url"]).content)
    assert found.scheme == {"a111": "a1111"}.get(scheme, scheme)
    assert found.recipe is not None
    assert (found.recipe.prompt, found.recipe.seed, found.recipe.steps) == ("a red apple", 7, 2)
    assert found.recipe.performance == "speed"
    assert found.recipe.size_conditioning is not None
