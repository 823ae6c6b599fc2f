"""The form of the view Make: what is asked for, what is remembered, and what is wrong with it."""

import io
import json
from typing import Any

import httpx
import pytest
from PIL import Image, PngImagePlugin
from playwright.sync_api import Locator, Page, Route, expect

from protocol.generation import MAX_GENERATED_SIDE_PX, MAX_LORA_WEIGHT, ImageToImageParams, TextToImageParams
from protocol.params import LARGEST_SEED
from protocol.performance import Performance
from protocol.sampling import NoiseSchedule, SchedulerName
from tests.page.conftest import OpenPage
from tests.servers import ThreadServer

SAVED = "safelight.make"


def prompt(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Prompt", exact=True)


def make(page: Page) -> None:
    page.get_by_role("button", name="Make", exact=True).click()


def unfold(page: Page, name: str) -> None:
    page.locator("summary", has_text=name).click()


def only_job(page: Page, http: httpx.Client) -> dict[str, Any]:
    """What was submitted, once the page shows it."""
    page.get_by_role("article").wait_for()
    (job,) = http.get("/v1/jobs").json()["jobs"]
    return dict(job)


def png(size: tuple[int, int] = (48, 32), text: str | None = None) -> bytes:
    about = PngImagePlugin.PngInfo()
    if text is not None:
        about.add_text("parameters", text)
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, "png", pnginfo=about)
    return file.getvalue()


def drop(page: Page, content: bytes, name: str = "picture.png") -> None:
    """Let go of a file over the page."""
    page.evaluate(
        """([bytes, name]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], name, {type: "image/png"}));
            for (const type of ["dragenter", "dragover", "drop"]) {
                document.body.dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
            }
        }""",
        [list(content), name],
    )


def test_a_prompt_alone_is_enough(open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client) -> None:
    page = open_page(page_server).page
    prompt(page).fill("  a red apple ")
    make(page)
    job = only_job(page, page_http)
    assert (job["task"], job["params"]["prompt"], job["previews"]) == ("text_to_image", "a red apple", "latest")
    unasked = TextToImageParams(prompt="a red apple").model_dump(mode="json")
    assert {name for name, value in job["params"].items() if value != unasked[name]} == {"metadata"}


def test_every_field_becomes_its_parameter(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    page = open_page(page_server).page
    prompt(page).fill("a red apple")
    page.get_by_label("Not in the picture").fill("a worm")
    page.get_by_label("How many").fill("2")
    page.get_by_label("16 to 9").check(force=True)
    unfold(page, "Steps, seed, sampler")
    page.get_by_label("Steps", exact=True).fill("7")
    page.get_by_label("Guidance").fill("2.5")
    page.get_by_label("Seed", exact=True).fill("9007199254740993")
    page.get_by_label("Preset").select_option("initial")
    page.get_by_label("Speed mode").select_option("speed")
    page.get_by_label("Sampler").select_option(label="DPM++ 2M")
    page.get_by_label("Noise schedule").select_option(label="Karras")
    unfold(page, "Previews, priority, file")
    page.get_by_label("Previews", exact=True).select_option(label="Every step")
    page.get_by_label("Priority").select_option(label="High")
    page.get_by_label("Write into the file how it was made").uncheck()
    unfold(page, "Styles")
    page.get_by_label("Search the styles").fill("fooocus photo")
    page.get_by_role("checkbox", name="Fooocus Photograph").check()
    make(page)
    job = only_job(page, page_http)
    expected = {
        "prompt": "a red apple",
        "negative_prompt": "a worm",
        "images": 2,
        "width": 80,
        "height": 48,
        "steps": 7,
        "guidance_scale": 2.5,
        "seed": 9007199254740993,
        "scheduler": "dpmpp_2m",
        "noise_schedule": "karras",
        "styles": ["Fooocus Photograph"],
        "preset": "initial",
        "performance": "speed",
        "metadata": "none",
    }
    assert {name: job["params"][name] for name in expected} == expected
    assert (job["previews"], job["priority"]) == ("all", "high")


def test_what_was_written_is_there_again_and_can_be_reset(open_page: OpenPage, page_server: ThreadServer) -> None:
    page = open_page(page_server).page
    prompt(page).fill("a red apple")
    page.get_by_label("Width", exact=True).fill("640")
    page.reload()
    expect(prompt(page)).to_have_value("a red apple")
    expect(page.get_by_label("Width", exact=True)).to_have_value("640")
    page.get_by_role("button", name="Reset").click()
    expect(prompt(page)).to_have_value("")
    page.reload()
    expect(page.get_by_label("Width", exact=True)).to_have_value("")


def test_what_is_out_of_range_is_told_at_its_field_and_not_sent(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    page = open_page(page_server).page
    make(page)
    expect(page.get_by_text("Say what is to be seen.")).to_be_visible()
    expect(prompt(page)).to_be_focused()
    prompt(page).fill("a red apple")
    expect(page.get_by_text("Say what is to be seen.")).to_be_hidden()
    unfold(page, "Steps, seed, sampler")
    steps = page.get_by_label("Steps", exact=True)
    steps.fill("501")
    unfold(page, "Steps, seed, sampler")
    make(page)
    expect(steps).to_be_focused()
    expect(steps).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("From 1 to 500.")).to_be_visible()
    assert page_http.get("/v1/jobs").json()["jobs"] == []


def test_what_only_the_server_can_tell_is_told_at_its_field(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    wish = {"prompt": "a red apple", "styles": ["Nobody"]}
    page = open_page(page_server, storage={SAVED: json.dumps(wish)}).page
    make(page)
    told = page.locator("[data-field=styles]").get_by_text("there is no style 'Nobody'")
    expect(told).to_be_visible()
    expect(told).not_to_contain_text("$.params")
    expect(page.get_by_role("button", name="Remove Nobody")).to_be_focused()
    assert page_http.get("/v1/jobs").json()["jobs"] == []


def test_models_and_loras_are_those_of_the_server(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    def more(route: Route) -> None:
        listed = route.fetch().json()
        known = {"licence": "MIT", "size_bytes": 1, "is_present": True, "is_loaded": False, "is_default": False}
        large = {
            "kind": "checkpoint",
            "tasks": ["text_to_image"],
            "defaults": {"width": 1024, "height": 1024, "steps": 28},
        }
        for name, what in (("large", large), ("soft light", {"kind": "lora", "tasks": []})):
            listed["models"].append({**known, **what, "name": name, "title": name, "id": f"{what['kind']}:{name}"})
        route.fulfill(json=listed)

    page = open_page(page_server).page
    page.route("**/v1/models", more)
    page.reload()
    prompt(page).fill("a red apple")
    page.get_by_label("Model").select_option("large")
    expect(page.get_by_label("Width", exact=True)).to_have_attribute("placeholder", "Auto (1024)")
    page.get_by_label("16 to 9").check(force=True)
    unfold(page, "LoRAs")
    page.get_by_role("button", name="Add a LoRA").click()
    expect(page.get_by_label("LoRA", exact=True)).to_be_focused()
    page.get_by_label("Weight of soft light").fill("0.6")
    page.get_by_role("button", name="Add a LoRA").click()
    page.get_by_role("button", name="Remove soft light").last.click()
    make(page)
    params = only_job(page, page_http)["params"]
    assert (params["model"], params["width"], params["height"]) == ("large", 1344, 768)
    assert params["loras"] == [{"name": "soft light", "weight": 0.6}]


def test_a_dropped_picture_is_what_the_job_starts_from(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    page = open_page(page_server).page
    drop(page, png())
    expect(page.get_by_text("Its file does not say how it was made.")).to_be_visible()
    expect(page.get_by_role("button", name="Use its settings")).to_be_hidden()
    page.get_by_role("dialog").get_by_role("button", name="Start from it").click()
    expect(page.get_by_role("img", name="Start picture")).to_be_visible()
    page.get_by_label("Strength").fill("0.4")
    prompt(page).fill("a red apple")
    make(page)
    job = only_job(page, page_http)
    assert (job["task"], job["params"]["strength"]) == ("image_to_image", 0.4)
    assert job["params"]["image"].startswith("upload:")
    card = page.get_by_role("article")
    card.get_by_role("button", name="Open picture 1 of 1").wait_for()
    (job,) = page_http.get("/v1/jobs").json()["jobs"]
    assert (job["outputs"][0]["width"], job["outputs"][0]["height"]) == (48, 32)


def test_a_start_picture_can_be_taken_away_again(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    page = open_page(page_server).page
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a picture").click()
    chooser.value.set_files({"name": "a.png", "mimeType": "image/png", "buffer": png()})
    expect(page.get_by_text("48 × 32 px")).to_be_visible()
    page.get_by_role("button", name="Remove the start picture").click()
    expect(page.get_by_role("button", name="Choose a picture")).to_be_focused()
    prompt(page).fill("a red apple")
    make(page)
    assert only_job(page, page_http)["task"] == "text_to_image"


def test_an_uploaded_start_picture_is_shown_again_and_one_that_is_gone_is_told(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    upload = page_http.post("/v1/uploads", content=png()).json()["ref"]
    wish = {"prompt": "a red apple", "image": upload}
    page = open_page(page_server, storage={SAVED: json.dumps(wish)}).page
    expect(page.get_by_role("img", name="Start picture")).to_have_js_property("naturalWidth", 48)
    gone = {**wish, "image": "upload:01a1fc7b-8bbe-70b6-ad89-0aa3b642b6c4"}
    tab = open_page(page_server, storage={SAVED: json.dumps(gone)})
    expect(tab.page.locator(".notice")).to_contain_text("not on the server any more")
    expect(tab.page.get_by_role("button", name="Choose a picture")).to_be_visible()
    expect(prompt(tab.page)).to_have_value("a red apple")
    tab.problems.clear()


def test_a_dropped_picture_gives_its_settings(open_page: OpenPage, page_server: ThreadServer) -> None:
    text = (
        "a blue car\nNegative prompt: rust\n"
        "Steps: 9, Sampler: Euler a, CFG scale: 3.5, Seed: 77, Size: 320x192, Model: nobody-has-it"
    )
    page = open_page(page_server).page
    drop(page, png(text=text))
    page.get_by_role("button", name="Use its settings").click()
    expect(prompt(page)).to_have_value("a blue car")
    expect(page.get_by_label("Not in the picture")).to_have_value("rust")
    expect(page.get_by_label("Width", exact=True)).to_have_value("320")
    unfold(page, "Steps, seed, sampler")
    expect(page.get_by_label("Steps", exact=True)).to_have_value("9")
    expect(page.get_by_label("Seed", exact=True)).to_have_value("77")
    expect(page.get_by_label("Sampler")).to_have_value("euler_ancestral")
    expect(page.locator(".notice")).to_contain_text("Not on this server, so left out: nobody-has-it")
    expect(page.get_by_label("Model")).to_have_value("")


def test_a_picture_of_an_earlier_job_is_what_the_job_starts_from(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    request = {"task": "text_to_image", "params": {"prompt": "a tree", "width": 64, "height": 32}}
    earlier = page_http.post("/v1/jobs", json=request, headers={"Prefer": "wait=10"}).json()["id"]
    page = open_page(page_server, f"make?picture=job:{earlier}/0&as=image").page
    expect(page.get_by_role("img", name="Start picture")).to_be_visible()
    prompt(page).fill("a red apple")
    make(page)
    page.get_by_role("article", name="a red apple").wait_for()
    params = page_http.get("/v1/jobs").json()["jobs"][0]["params"]
    assert params["image"] == f"job:{earlier}/0"
    page.reload()
    assert page.evaluate("location.hash") == "#/make"
    expect(page.get_by_role("img", name="Start picture")).to_be_visible()


def test_settings_of_a_job_come_back_with_those_the_form_has_no_field_for(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    params = {"prompt": "a tree", "steps": 3, "sharpness": 2.0, "seed": 7, "metadata": "none"}
    request = {"task": "text_to_image", "params": params}
    earlier = page_http.post("/v1/jobs", json=request, headers={"Prefer": "wait=10"}).json()
    page = open_page(page_server).page
    page.get_by_role("button", name="Take its settings into the form").click()
    expect(prompt(page)).to_have_value("a tree")
    expect(page.get_by_text("Also from that job: sharpness")).to_be_visible()
    make(page)
    expect(page.get_by_role("article")).to_have_count(2)
    newest = page_http.get("/v1/jobs").json()["jobs"][0]
    assert newest["params"] == earlier["params"]
    page.get_by_role("button", name="Leave out").click()
    make(page)
    expect(page.get_by_role("article")).to_have_count(3)
    assert page_http.get("/v1/jobs").json()["jobs"][0]["params"] == {**earlier["params"], "sharpness": 0.0}


def test_a_job_with_the_usual_settings_has_none_without_a_field(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    upload = page_http.post("/v1/uploads", content=png()).json()["ref"]
    request = {"task": "image_to_image", "params": {"prompt": "a tree", "image": upload}}
    job = page_http.post("/v1/jobs", json=request, headers={"Prefer": "wait=10"}).json()["id"]
    page = open_page(page_server, f"make?job={job}").page
    expect(prompt(page)).to_have_value("a tree")
    expect(page.get_by_text("Also from that job")).to_be_hidden()


def test_the_seed_of_the_last_picture_can_be_kept(
    open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client
) -> None:
    page = open_page(page_server).page
    prompt(page).fill("a red apple")
    make(page)
    page.get_by_role("button", name="Open picture 1 of 1").wait_for()
    unfold(page, "Steps, seed, sampler")
    page.get_by_role("button", name="Keep the seed of the last picture").click()
    (job,) = page_http.get("/v1/jobs").json()["jobs"]
    expect(page.get_by_label("Seed", exact=True)).to_have_value(str(job["outputs"][0]["seed"]))
    page.get_by_role("button", name="Another seed each time").click()
    expect(page.get_by_label("Seed", exact=True)).to_have_value("")


def test_the_form_speaks_chinese(open_page: OpenPage, page_server: ThreadServer, page_http: httpx.Client) -> None:
    page = open_page(page_server, language="zh").page
    page.get_by_role("button", name="生成", exact=True).click()
    expect(page.get_by_text("请描述想看到的画面。")).to_be_visible()
    page.get_by_role("textbox", name="提示词", exact=True).fill("一个红苹果")
    page.get_by_role("button", name="生成", exact=True).click()
    assert only_job(page, page_http)["params"]["prompt"] == "一个红苹果"
    expect(page.get_by_role("button", name="用相同种子再生成一次")).to_be_visible()


def test_a_job_that_waits_for_its_model_says_how_far_that_is(open_page: OpenPage, page_server: ThreadServer) -> None:
    page = open_page(page_server).page
    page.locator("option", has_text="fake (default)").wait_for(state="attached")
    told = page.evaluate(
        """async () => {
            const { loadingOf } = await import("/web/job-facts.js");
            const entry = { job: { status: "running", params: { model: null } }, live: {} };
            const at = (status) => new Map([["checkpoint:fake", { status, done: 1, total: 4 }]]);
            const begun = { ...entry, live: { step: 1 } };
            const cases = [[entry, at("loading")], [entry, at("loaded")], [begun, at("loading")]];
            return cases.map((each) => loadingOf(...each));
        }"""
    )
    assert told == [{"done": 1, "total": 4}, None, None]


def test_ranges_and_names_are_those_of_the_protocol(open_page: OpenPage, page_server: ThreadServer) -> None:
    page = open_page(page_server).page
    known = page.evaluate(
        """async () => {
            const known = await import("/web/ranges.js");
            const names = [Object.keys(known.SCHEDULERS), Object.keys(known.NOISE_SCHEDULES), known.PERFORMANCES];
            return { RANGES: known.RANGES, names, LARGEST_SEED: String(known.LARGEST_SEED), MOST: known.MOST };
        }"""
    )
    schema = ImageToImageParams.model_json_schema()["properties"]

    def bounds(name: str) -> list[float]:
        places = [schema[name], *schema[name].get("anyOf", [])]
        (found,) = [place for place in places if "maximum" in place]
        return [found["minimum"], found["maximum"]]

    weight = known["RANGES"].pop("lora_weight")
    assert weight == [-MAX_LORA_WEIGHT, MAX_LORA_WEIGHT]
    assert known["RANGES"] == {name: bounds(name) for name in known["RANGES"]}
    assert known["RANGES"]["width"][1] == MAX_GENERATED_SIDE_PX
    assert known["names"] == [[*SchedulerName], [*NoiseSchedule], [*Performance]]
    assert known["LARGEST_SEED"] == str(LARGEST_SEED)
    assert known["MOST"] == {name: schema[name]["maxItems"] for name in ("styles", "loras")}


@pytest.mark.parametrize(
    ("shape", "own", "size"), [("16:9", (1024, 1024), (1344, 768)), ("2:3", (256, 256), (208, 320))]
)
def test_a_shape_keeps_about_the_area_of_the_model(
    open_page: OpenPage, page_server: ThreadServer, shape: str, own: tuple[int, int], size: tuple[int, int]
) -> None:
    page = open_page(page_server).page
    found = page.evaluate(
        """async ([shape, width, height]) => {
            const { shapedLike } = await import("/web/elements/size-field.js");
            return shapedLike(shape, { width, height });
        }""",
        [shape, *own],
    )
    assert (found["width"], found["height"]) == size
