"""Programs as people have written them for Fooocus-API, pointed at ours.

Each makes the calls of an example in its documents, with the same library, the same fields and in the same form: JSON
as a text of its own, files without names, values as Python has them.
"""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Tab, chromium
from tests.dialects.axios import told_by
from tests.dialects.elsewhere import page_elsewhere
from tests.dialects.fooocus_api.callers import asked, mask
from tests.dialects.pictures import png
from tests.dialects.receivers import Receiver
from tests.servers import DEADLINE_S, ThreadServer, until

requests = pytest.importorskip("requests")
JSON = {"Content-Type": "application/json"}
AXIOS = r"""
const [host, text, picture] = process.argv.slice(1), body = JSON.parse(text), v1 = host + "/v1/generation";
const file = new Blob([Buffer.from(picture, "base64")], { type: "image/png" });
const form = (fields) => {
  const made = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Blob) made.append(name, value, "bear.png");
    else made.append(name, value);
  }
  return made;
};
const { job_id } = (await axios.post(v1 + "/text-to-image", { ...body, async_process: true })).data;
let job = {};
while (job.job_stage !== "SUCCESS" && job.job_stage !== "ERROR") {
  await pause();
  job = (await axios.get(v1 + "/query-job", { params: { job_id, require_step_preview: false } })).data;
}
const enlarged = await axios.post(
  v1 + "/image-upscale-vary", form({ uov_method: "Upscale (2x)", async_process: false, input_image: file }),
);
const repainted = await axios.post(
  v1 + "/image-inpaint-outpaint", form({ prompt: "a cat", input_image: file, input_mask: file }),
);
const described = await axios.post(
  host + "/v1/tools/describe-image", form({ image: file }), { params: { type: "Photo" } },
);
const alone = await axios.post(
  v1 + "/text-to-image", body, { headers: { Accept: "image/png" }, responseType: "arraybuffer" },
);
const stopped = await axios.post(v1 + "/stop");
let mistake;
try { await axios.post(v1 + "/image-upscale-vary", form({ uov_method: "Bigger", input_image: file })); }
catch (error) { mistake = error.response; }
say({
  job, made: [...enlarged.data, ...repainted.data], described: described.data, alone: alone.headers["content-type"],
  stopped: stopped.data, mistake: [mistake.status, mistake.data.detail[0].loc],
});
"""
PAGE = r"""async ([host, body]) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  canvas.getContext("2d").fillRect(8, 8, 40, 40);
  const file = await new Promise((resolve) => canvas.toBlob(resolve));
  const headers = { "Content-Type": "application/json", "X-API-KEY": "a key" };
  const send = (path, more) => fetch(host + path, { method: "POST", ...more });
  const alone = await send(
    "/v1/generation/text-to-image", { headers: { ...headers, Accept: "image/png" }, body: JSON.stringify(body) },
  );
  const picture = await createImageBitmap(await alone.blob());
  const form = new FormData();
  form.append("uov_method", "Upscale (2x)");
  form.append("input_image", file, "picture.png");
  const enlarged = await (await send("/v1/generation/image-upscale-vary", { body: form })).json();
  const asked = await new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", host + "/v2/generation/image-upscale-vary");
    request.setRequestHeader("Content-Type", "application/json");
    request.responseType = "json";
    request.onload = () => resolve(request.response);
    request.onerror = () => reject(new Error("no answer"));
    request.send(JSON.stringify({ ...body, input_image: canvas.toDataURL(), async_process: true }));
  });
  return { size: [picture.width, picture.height], enlarged: enlarged[0].finish_reason, asked };
}"""


@pytest.fixture
def session() -> Iterator[Any]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def host(server: ThreadServer) -> str:
    return f"http://127.0.0.1:{server.ports[0]}"


@pytest.fixture
def image(tmp_path: Path) -> bytes:
    """As a program reads a photograph."""
    path = tmp_path / "bear.jpg"
    path.write_bytes(png(160, 120, file_format="JPEG"))
    with path.open("rb") as file:
        return file.read()


def result_of(session: Any, host: str, job: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask for a job again and again, as the programs do, until it has ended."""
    found: dict[str, Any] = {}

    def has_ended() -> bool:
        params = {"job_id": job["job_id"], "require_step_preview": False}
        found.update(session.get(f"{host}/v1/generation/query-job", params=params, timeout=30).json())
        return found["job_stage"] in {"SUCCESS", "ERROR"}

    until(has_ended, "the job to end", interval_s=0.05)
    assert found["job_stage"] == "SUCCESS", found
    results: list[dict[str, Any]] = found["job_result"]
    assert results
    assert session.get(results[0]["url"], timeout=30).content.startswith(b"\x89PNG")
    return results


def test_program_that_makes_pictures_from_text(session: Any, host: str) -> None:
    params = {"prompt": "1girl sitting on the ground", "async_process": True}
    answer = session.post(url=f"{host}/v1/generation/text-to-image", data=json.dumps(params), headers=JSON)
    result_of(session, host, answer.json())


def test_program_that_enlarges_by_form_and_by_json(session: Any, host: str, image: bytes) -> None:
    params: dict[str, Any] = {"uov_method": "Upscale (2x)", "async_process": True}
    url = f"{host}/v1/generation/image-upscale-vary"
    result_of(session, host, session.post(url=url, data=params, files={"input_image": image}).json())
    params["input_image"] = base64.b64encode(image).decode("utf-8")
    answer = session.post(
        url=f"{host}/v2/generation/image-upscale-vary", data=json.dumps(params), headers=JSON, timeout=300
    )
    result_of(session, host, answer.json())


def test_program_that_continues_and_repaints_by_form(session: Any, host: str, image: bytes) -> None:
    url = f"{host}/v1/generation/image-inpaint-outpaint"
    params: dict[str, Any] = {"outpaint_selections": "Left,Right", "async_process": True}
    files = {"input_image": image, "input_mask": None}
    result_of(session, host, session.post(url=url, data=params, files=files).json())
    params = {"prompt": "a cat", "async_process": True}
    files = {"input_image": image, "input_mask": mask(160, 120)}
    result_of(session, host, session.post(url=url, data=params, files=files).json())


def test_program_that_continues_and_repaints_by_json(session: Any, host: str, image: bytes) -> None:
    url = f"{host}/v2/generation/image-inpaint-outpaint"
    source = base64.b64encode(image).decode("utf-8")
    asked: list[dict[str, Any]] = [
        {"input_image": source, "input_mask": None, "outpaint_selections": ["Left", "Right"], "async_process": True},
        {
            "prompt": "a cat",
            "input_image": source,
            "input_mask": base64.b64encode(mask(160, 120)).decode("utf-8"),
            "async_process": True,
        },
    ]
    for params in asked:
        result_of(session, host, session.post(url=url, data=json.dumps(params), headers=JSON).json())


def test_program_that_goes_by_pictures_in_a_form(session: Any, host: str, image: bytes) -> None:
    url = f"{host}/v1/generation/image-prompt"
    params: dict[str, Any] = {
        "prompt": "1girl sitting on the chair",
        "image_prompts": [{"cn_stop": 0.6, "cn_weight": 0.6, "cn_type": "ImagePrompt"}] * 2,
    }
    names = ("input_image", "input_mask", "cn_img3", "cn_img4")
    files = {**dict.fromkeys(names), "cn_img1": image, "cn_img2": image}
    (made,) = session.post(url=url, data=params, files=files).json()
    assert made["finish_reason"] == "SUCCESS"
    params = {"prompt": "1girl sitting on the chair", "image_prompts": [], "async_process": True}
    repainted = {**dict.fromkeys((*names, "cn_img1", "cn_img2")), "input_image": image, "input_mask": mask(160, 120)}
    result_of(session, host, session.post(url=url, data=params, files=repainted).json())
    params = {"outpaint_selections": ["Left", "Right"], "image_prompts": []}
    (made,) = session.post(url=url, data=params, files={**dict.fromkeys(names), "input_image": image}).json()
    assert made["finish_reason"] == "SUCCESS"


def test_program_that_goes_by_pictures_in_json(session: Any, host: str, image: bytes) -> None:
    source = base64.b64encode(image).decode("utf-8")
    prompt = {"cn_img": source, "cn_stop": 0.6, "cn_weight": 0.6, "cn_type": "ImagePrompt"}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("image-prompt", {"input_image": source, "outpaint_selections": ["Left", "Right"], "image_prompts": []}),
        (
            "image-prompt",
            {
                "prompt": "1girl sitting on the chair",
                "input_image": source,
                "input_mask": base64.b64encode(mask(160, 120)).decode("utf-8"),
                "image_prompts": [],
            },
        ),
        ("image-prompt", {"prompt": "1girl sitting on the chair", "image_prompts": [prompt, prompt]}),
        ("text-to-image-with-ip", {"prompt": "A bear", "image_prompts": [prompt, prompt]}),
    ]
    for route, params in asked:
        answer = session.post(url=f"{host}/v2/generation/{route}", data=json.dumps(params), headers=JSON)
        assert answer.json()[0]["finish_reason"] == "SUCCESS"


def test_programs_that_ask_the_server_for_things(session: Any, host: str, image: bytes) -> None:
    described = session.post(
        url=f"{host}/v1/tools/describe-image", params={"type": "Photo"}, files={"image": image}, timeout=30
    )
    assert isinstance(described.json()["describe"], str)
    models = session.get(url=f"{host}/v1/engines/all-models", timeout=30).json()
    assert session.post(url=f"{host}/v1/engines/refresh-models", timeout=30).json() == models
    assert "Watercolor 2" in session.get(url=f"{host}/v1/engines/styles", timeout=30).json()
    assert set(session.get(url=f"{host}/v1/generation/job-queue", timeout=30).json()) == {
        "running_size",
        "finished_size",
        "last_job_id",
    }
    assert session.get(url=f"{host}/v1/generation/job-history", timeout=30).json()["queue"] == []
    assert session.post(url=f"{host}/v1/generation/stop", timeout=30).json() == {"msg": "success"}


def test_program_that_receives_webhooks(session: Any, host: str) -> None:
    with Receiver(200).running() as receiver:
        params = {"prompt": "a cat", "async_process": True, "webhook_url": receiver.url}
        job = session.post(url=f"{host}/v1/generation/text-to-image", data=json.dumps(params), headers=JSON).json()
        told = receiver.next().body
    assert (told["job_id"], set(told["job_result"][0])) == (job["job_id"], {"url", "seed"})


def test_axios_sends_json_and_forms(host: str) -> None:
    """With the requests that axios makes, from Node."""
    picture = base64.b64encode(mask()).decode()
    told = told_by(AXIOS, host, json.dumps(asked()), picture)
    assert told["job"]["job_stage"] == "SUCCESS"
    assert [made["finish_reason"] for made in told["made"]] == ["SUCCESS", "SUCCESS"]
    assert told["described"]["describe"].endswith("photo")
    assert told["alone"] == "image/png"
    assert told["stopped"] == {"msg": "success"}
    assert told["mistake"] == [422, ["body", "uov_method"]]


def test_a_page_of_another_origin_sends_keys_forms_and_json(host: str) -> None:
    with page_elsewhere() as elsewhere, chromium() as browser, Tab(browser) as tab:
        tab.page.goto(elsewhere)
        told = tab.page.evaluate(PAGE, [host, asked()])
        assert tab.problems == []
    assert told["size"] == [128, 96]
    assert told["enlarged"] == "SUCCESS"
    assert told["asked"]["job_stage"] == "WAITING"


def test_curl_gets_a_picture_and_a_list(host: str, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl")
    url = f"{host}/v1/generation/text-to-image"
    common = [curl, "-s", "--noproxy", "*", "-X", "POST", url, "-H", "Content-Type: application/json"]
    body = '{"prompt": "a cat", "aspect_ratios_selection": "128*96"}'
    for extra in (["-H", "Accept: image/png"], []):
        done = subprocess.run([*common, *extra, "-d", body], capture_output=True, timeout=6 * DEADLINE_S, check=True)
        if extra:
            assert done.stdout.startswith(b"\x89PNG")
        else:
            assert json.loads(done.stdout)[0]["finish_reason"] == "SUCCESS"
