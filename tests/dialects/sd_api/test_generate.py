"""What is sent to be generated becomes the job it means."""

import base64

import httpx
import pytest

from tests.dialects.jobs import ended, warnings_of
from tests.dialects.pictures import opened, png
from tests.dialects.sd_api.callers import GENERATE, asked, begin, data_url, shown


def test_the_answer_is_the_documented_one_and_at_once(client: httpx.Client) -> None:
    answer = client.post(GENERATE, json=asked())
    assert answer.status_code == 200
    body = answer.json()
    assert body == {"task_id": body["task_id"], "status": "pending", "message": "任务已创建，正在处理中"}
    ended(client, body["task_id"])


@pytest.mark.parametrize(
    ("field", "value", "ours", "meant"),
    [
        ("prompt", "a dog", "prompt", "a dog"),
        ("negative_prompt", "blurry", "negative_prompt", "blurry"),
        ("width", 128, "width", 128),
        ("height", "96", "height", 96),
        ("num_images", 3, "images", 3),
        ("num_inference_steps", 7, "steps", 7),
        ("guidance_scale", 9, "guidance_scale", 9.0),
        ("seed", 12345, "seed", 12345),
        ("seed", -1, "seed", 2**63 - 1),
        ("seed", 2**63 + 5, "seed", 5),
        ("output_format", "jpg", "format", "jpeg"),
        ("output_format", "JPEG", "format", "jpeg"),
        ("output_format", "png", "format", "png"),
        ("scheduler", "DPMSolverMultistepScheduler", "scheduler", "dpmpp_2m"),
        ("scheduler", "DDIMScheduler", "scheduler", "ddim"),
        ("scheduler", "EulerDiscreteScheduler", "scheduler", "euler"),
        ("scheduler", "EulerAncestralDiscreteScheduler", "scheduler", "euler_ancestral"),
        ("scheduler", "PNDMScheduler", "scheduler", "pndm"),
        ("scheduler", "LMSDiscreteScheduler", "scheduler", "lms"),
        ("scheduler", "HeunDiscreteScheduler", "scheduler", "heun"),
        ("scheduler", "KDPM2DiscreteScheduler", "scheduler", "dpm_2"),
        ("scheduler", "KDPM2AncestralDiscreteScheduler", "scheduler", "dpm_2_ancestral"),
    ],
)
def test_each_field_is_a_parameter_of_ours(
    client: httpx.Client, field: str, value: object, ours: str, meant: object
) -> None:
    job = ended(client, begin(client, **{field: value}))
    assert (job["task"], job["status"]) == ("text_to_image", "succeeded")
    assert job["params"][ours] == meant


def test_what_is_null_or_left_out_is_the_models_own(client: httpx.Client) -> None:
    names = ("negative_prompt", "num_inference_steps", "guidance_scale", "strength", "scheduler", "seed", "init_image")
    nulls = dict.fromkeys((*names, "num_images", "output_format", "callback_url"))
    fields = {"prompt": "a cat", "width": 64, "height": 64}
    answers = [client.post(GENERATE, json={**fields, **more}).json() for more in (nulls, {})]
    empty, bare = (ended(client, answer["task_id"]) for answer in answers)
    assert empty["params"] == bare["params"]
    params = bare["params"]
    assert (params["images"], params["format"], params["steps"], params["scheduler"]) == (1, "png", None, None)


def test_a_picture_to_start_from_makes_it_image_to_image(client: httpx.Client) -> None:
    fields = {"prompt": "anime style", "init_image": data_url(png(80, 56)), "strength": 0.3}
    task_id = client.post(GENERATE, json=fields).json()["task_id"]
    job = ended(client, task_id)
    assert (job["task"], job["params"]["strength"]) == ("image_to_image", 0.3)
    picture = opened(client.get(shown(client, task_id)["result_url"]).content)
    assert (picture.width, picture.height) == (80, 56)


def test_strength_is_the_documented_one_where_it_is_left_out(client: httpx.Client) -> None:
    job = ended(client, begin(client, init_image=data_url(png())))
    assert job["params"]["strength"] == 0.75


@pytest.mark.parametrize("given", ["bare", "jpeg", "upload", "job"])
def test_a_picture_may_come_as_our_own_api_takes_it_too(client: httpx.Client, given: str) -> None:
    content = png(80, 56)
    if given == "bare":
        init_image = base64.b64encode(content).decode()
    elif given == "jpeg":
        init_image = data_url(png(80, 56, file_format="JPEG"), "image/jpeg")
    elif given == "upload":
        upload = client.post("/v1/uploads", content=content, headers={"Content-Type": "image/png"}).json()
        init_image = f"upload:{upload['id']}"
    else:
        done = begin(client, width=80, height=56)
        ended(client, done)
        init_image = f"job:{done}/0"
    job = ended(client, begin(client, init_image=init_image))
    assert (job["task"], job["status"]) == ("image_to_image", "succeeded")


def test_an_empty_text_is_no_picture(client: httpx.Client) -> None:
    assert ended(client, begin(client, init_image=""))["task"] == "text_to_image"


def test_what_has_no_effect_is_warned_of(client: httpx.Client) -> None:
    of_text, of_picture = begin(client, strength=0.4), begin(client, init_image=data_url(png(80, 56)))
    ended(client, of_text)
    job = ended(client, of_picture)
    assert (job["params"]["width"], job["params"]["height"]) == (None, None)
    assert [warning.split(":")[1].strip() for warning in warnings_of(client, of_text)] == ["strength"]
    told = warnings_of(client, of_picture)
    assert [warning.split(":")[1].strip() for warning in told] == ["width", "height"]
    assert all(warning.startswith("parameter_unused: ") for warning in told)


def test_fields_nobody_knows_are_passed_over(client: httpx.Client) -> None:
    assert ended(client, begin(client, lora="x", model="y"))["status"] == "succeeded"


@pytest.mark.parametrize(("output_format", "name"), [("jpg", "JPEG"), ("png", "PNG"), (None, "PNG")])
def test_the_file_has_the_format_and_its_name_says_so(
    client: httpx.Client, output_format: str | None, name: str
) -> None:
    task_id = begin(client, output_format=output_format)
    ended(client, task_id)
    url = shown(client, task_id)["result_url"]
    answer = client.get(url)
    assert opened(answer.content).format == name
    assert answer.headers["content-type"] == f"image/{name.lower()}"
    assert url.endswith(".jpg" if name == "JPEG" else ".png")


def test_several_pictures_differ_and_their_seeds_count_up(client: httpx.Client) -> None:
    task_id = begin(client, num_images=3, seed=7)
    job = ended(client, task_id)
    assert [output["seed"] for output in job["outputs"]] == [7, 8, 9]
    assert len({client.get(url).content for url in shown(client, task_id)["result_urls"]}) == 3


def test_the_same_seed_gives_the_same_picture(client: httpx.Client) -> None:
    urls = []
    for seed in (12345, 12345, 6):
        task_id = begin(client, seed=seed)
        ended(client, task_id)
        urls.append(shown(client, task_id)["result_url"])
    first, again, other = (client.get(url).content for url in urls)
    assert first == again != other
