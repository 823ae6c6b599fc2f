"""Programs as people write them for FooocusAPI, pointed at ours: requests, curl, node, axios, and a page in a browser.

Its documents have no programs of their own; these make the calls that they describe, and read the stream as the
clients do that are in use: a line that begins with `data: ` and goes on with JSON counts, all others are passed over.
"""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import Tab, chromium
from tests.dialects.axios import told_by
from tests.dialects.elsewhere import page_elsewhere
from tests.dialects.fooocus_engine.callers import GENERATE, asked, job_id
from tests.dialects.jobs import ended
from tests.dialects.pictures import b64, png
from tests.servers import DEADLINE_S, ThreadServer, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

requests = pytest.importorskip("requests")
READER = r"""
async function follow(url, body) {
  const response = await fetch(url, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const reader = response.body.getReader();
  const decoder = new TextDecoder("utf-8");
  let rest = "";
  const seen = [];
  while (true) {
    const { done, value } = await reader.read();
    if (done) break;
    rest += decoder.decode(value, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: {")) continue;
      const message = JSON.parse(line.slice(6));
      seen.push(message);
    }
  }
  return seen;
}
"""
NODE = (
    READER
    + r"""
const [url, body] = process.argv.slice(1);
follow(url, JSON.parse(body)).then((seen) => console.log(JSON.stringify(seen)));
"""
)
AXIOS = r"""
const [host, text] = process.argv.slice(1), body = JSON.parse(text), url = host + "/v1/engine/generate/";
const form = new FormData();
const record = (await axios.post(url, body)).data;
const output = (await axios.get(record.result[0], { responseType: "stream" })).data;
const chunks = [];
for await (const chunk of output) chunks.push(chunk);
form.append("image", new Blob(chunks, { type: "image/png" }), "picture.png");
const described = await axios.post(host + "/v1/tools/describe-image", form, { params: { image_type: "Anime" } });
const picture = await axios.post(url, body, { headers: { Accept: "image/webp" } });
const { data: stream } = await axios.post(url, { ...body, stream_output: true }, { responseType: "stream" });
let rest = "";
for await (const chunk of stream) rest += chunk;
const messages = rest.split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)));
const { task_id } = (await axios.post(url, { ...body, async_process: true })).data;
let finished = {};
while (finished.task_status !== "finished") {
  await pause();
  finished = (await axios.get(`${host}/tasks/${task_id}`)).data;
}
const control = [];
for (const action of ["stop", "skip"]) {
  control.push((await axios.post(host + "/v1/engine/control/", null, { params: { action } })).data);
}
let mistake;
try { await axios.post(url, { ...body, image_number: 0 }); } catch (error) { mistake = error.response.data; }
say({
  record, finished, control, mistake, described: described.data, picture: picture.headers["content-type"],
  stream: messages.at(-1),
});
"""
GROWING = r"""([url, body]) => new Promise((resolve, reject) => {
  const request = new XMLHttpRequest();
  let atFirst = 0;
  request.open("POST", url);
  request.setRequestHeader("Content-Type", "application/json");
  request.onprogress = () => { atFirst ||= request.responseText.length; };
  request.onerror = () => reject(new Error("no answer"));
  request.onload = () => {
    const lines = request.responseText.split("\n").filter((line) => line.startsWith("data: {"));
    resolve({ atFirst, whole: request.responseText.length, lines: lines.map((line) => JSON.parse(line.slice(6))) });
  };
  request.send(JSON.stringify(body));
})"""


@pytest.fixture
def session() -> Iterator[Any]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def host(server: ThreadServer) -> str:
    return f"http://127.0.0.1:{server.port}"


def test_program_that_waits_for_a_picture_by_either_path(session: Any, host: str) -> None:
    for path in ("/v1/engine/generate/", "/v1/engine/generate"):
        record = session.post(f"{host}{path}", json=asked()).json()
        assert session.get(record["result"][0]).content.startswith(b"\x89PNG")


def test_program_that_asks_again_until_its_task_is_finished(session: Any, host: str) -> None:
    task_id = session.post(f"{host}{GENERATE}", json=asked(async_process=True)).json()["task_id"]
    found: dict[str, Any] = {}

    def is_finished() -> bool:
        found.update(session.get(f"{host}/tasks/{task_id}").json())
        return found["task_status"] == "finished"

    until(is_finished, "the task to end", interval_s=0.05)
    assert session.get(found["result"][0]).ok


def test_program_that_follows_a_stream(session: Any, host: str) -> None:
    body = asked(stream_output=True, image_number=2)
    with session.post(f"{host}{GENERATE}", json=body, stream=True) as answer:
        assert answer.ok
        told = [
            json.loads(line[6:])
            for line in answer.iter_lines(decode_unicode=True)
            if line.startswith("data: ") and line[6:].strip()
        ]
    assert told[-1]["progress"] == 100
    assert [session.get(url).status_code for url in told[-1]["images"]] == [200, 200]


def test_program_that_wants_the_picture_alone(session: Any, host: str) -> None:
    answer = session.post(f"{host}{GENERATE}", json=asked(), headers={"Accept": "image/webp"})
    assert answer.content[:4] == b"RIFF"


def test_program_that_sends_pictures(session: Any, host: str) -> None:
    photo = b64(png(file_format="JPEG"))
    bodies: list[dict[str, Any]] = [
        {"uov_input_image": photo, "uov_method": "Upscale (2x)"},
        {"uov_input_image": f"data:image/jpeg;base64,{photo}", "uov_method": "Vary (Strong)"},
        {"inpaint_input_image": photo, "outpaint_selections": ["Left", "Top"], "outpaint_distance": [16, 8, 0, 0]},
        {"controlnet_image": [{"cn_img": photo, "cn_stop": 0.6, "cn_weight": 0.6, "cn_type": "ImagePrompt"}]},
    ]
    for body in bodies:
        record = session.post(f"{host}{GENERATE}", json=asked(**body)).json()
        assert record["task_status"] == "finished"


def test_program_that_describes_by_the_documents_and_by_the_code(session: Any, host: str) -> None:
    url = f"{host}/v1/tools/describe-image"
    as_documented = session.post(url, params={"image_type": "Anime"}, files={"image": png()}).json()
    as_written = session.post(url, json={"image": b64(png()), "image_type": "Anime"}).json()
    assert as_documented == as_written
    assert as_written["describe"].endswith("anime")
    in_the_form = session.post(url, data={"image_type": "Anime"}, files={"image": png()}).json()
    assert in_the_form == as_written
    masked = session.post(f"{host}/v1/tools/generate_mask", json={"image": b64(png())}).json()
    assert base64.b64decode(masked).startswith(b"\x89PNG")


def test_program_that_asks_the_server_for_things(session: Any, host: str) -> None:
    assert set(session.get(f"{host}/v1/engines/all-models").json()) == {"model_filenames", "lora_filenames"}
    assert "Fooocus V2" in session.get(f"{host}/v1/engines/styles").json()
    assert session.get(host, allow_redirects=False).headers["Location"] == "/docs"
    assert session.get(f"{host}/ping").status_code == 404
    assert session.get(f"{host}{GENERATE}").status_code == 405


def test_curl_gets_a_record_and_a_stream(host: str) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl")
    common = [curl, "-sN", "--noproxy", "*", "-X", "POST", f"{host}/v1/engine/generate", "-H"]
    for extra in ({}, {"stream_output": True}):
        command = [*common, "Content-Type: application/json", "-d", json.dumps(asked(**extra))]
        done = subprocess.run(command, capture_output=True, timeout=6 * DEADLINE_S, check=True).stdout
        if extra:
            assert done.endswith(b"\r\ndata: \r\n\r\n")
        else:
            assert json.loads(done)["task_status"] == "finished"


def test_node_follows_a_stream(host: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    command = [node, "-e", NODE, f"{host}{GENERATE}", json.dumps(asked(stream_output=True))]
    done = subprocess.run(command, capture_output=True, timeout=6 * DEADLINE_S, check=True)
    told = json.loads(done.stdout)
    assert told[-1]["message"] == "Finished"
    assert len(told[-1]["images"]) == 1


def test_axios_waits_follows_a_stream_and_sends_forms(host: str) -> None:
    """With the requests that axios makes, from Node."""
    told = told_by(AXIOS, host, json.dumps(asked()))
    assert told["record"]["task_status"] == "finished"
    assert told["picture"] == "image/webp"
    assert told["stream"]["message"] == "Finished"
    assert told["finished"]["result"]
    assert told["described"]["describe"].endswith("anime")
    assert told["control"] == [{"message": "No task running"}] * 2
    assert "image_number" in json.dumps(told["mistake"])


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as running:
        yield running


def test_a_page_of_another_origin_follows_a_stream_and_shows_its_picture(
    slow_server: ThreadServer, browser: "Browser"
) -> None:
    url = f"http://127.0.0.1:{slow_server.port}{GENERATE}"
    with page_elsewhere() as elsewhere, Tab(browser) as tab:
        tab.page.goto(elsewhere)
        told = tab.page.evaluate(
            f"async ([url, body]) => {{ {READER} return await follow(url, body); }}",
            [url, asked(stream_output=True)],
        )
        previews = [message["preview"] for message in told if message["preview"]]
        sizes = [tab.page.evaluate(_SIZE_OF, source) for source in (previews[0], told[-1]["images"][0])]
        # Chromium says so of every body that a page has read to its end by itself.
        assert [problem for problem in tab.problems if "ERR_ABORTED" not in problem] == []
    assert all(width > 0 for width in sizes)
    assert sizes[1] == 128
    with slow_server.client() as client:
        assert ended(client, job_id(told[-1]["task_id"]))["status"] == "succeeded"


def test_a_page_reads_a_stream_by_xmlhttprequest_while_it_grows(slow_server: ThreadServer, browser: "Browser") -> None:
    url = f"http://127.0.0.1:{slow_server.port}{GENERATE}"
    with page_elsewhere() as elsewhere, Tab(browser) as tab:
        tab.page.goto(elsewhere)
        seen = tab.page.evaluate(GROWING, [url, asked(stream_output=True, overwrite_step=4)])
        assert tab.problems == []
    assert seen["whole"] > seen["atFirst"] > 0
    assert seen["lines"][-1]["message"] == "Finished"


_SIZE_OF = """(source) => new Promise((resolve, reject) => {
  const image = new Image();
  image.onload = () => resolve(image.naturalWidth);
  image.onerror = () => reject(new Error("not a picture: " + source.slice(0, 60)));
  image.src = source;
})"""
