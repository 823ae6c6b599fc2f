"""Programs as people write them for the Stable Diffusion API, pointed at ours.

Each makes the calls of an example in its document, in the same order: with curl and jq in a shell, with Python's
requests, with a receiver of callbacks, and with JavaScript.
"""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.dialects.axios import told_by
from tests.dialects.pictures import opened, png
from tests.dialects.receivers import Receiver
from tests.dialects.sd_api.callers import KEY
from tests.servers import DEADLINE_S, ThreadServer, until

requests = pytest.importorskip("requests")
CURL = r"""
set -eu
curl -sf -X GET "$API/health" | jq -e '.status == "ok" and .model_loaded == true' >&2
TASK_ID=$(curl -s -X POST "$API/api/v1/generate" \
  -H "Content-Type: application/json" -H "X-API-Key: $KEY" \
  -d '{"prompt": "a cat on a sill", "width": 64, "height": 64, "guidance_scale": 7.5}' | jq -r '.task_id')
while true; do
  RESPONSE=$(curl -s -X GET "$API/api/v1/tasks/$TASK_ID" -H "X-API-Key: $KEY")
  STATUS=$(echo $RESPONSE | jq -r '.status')
  if [ "$STATUS" = "completed" ]; then
    echo $RESPONSE | jq -r '.result_url'
    break
  elif [ "$STATUS" = "failed" ]; then
    echo $RESPONSE | jq -r '.error_message' >&2
    exit 1
  fi
  sleep 0.05
done
"""
NODE = r"""
const [api, key] = process.argv.slice(2);
const headers = { "Content-Type": "application/json", "X-API-Key": key };
async function main() {
  const body = { prompt: "a wide view", width: 64, height: 64, guidance_scale: 7.5, num_inference_steps: 3 };
  const made = await fetch(`${api}/api/v1/generate`, { method: "POST", headers, body: JSON.stringify(body) });
  const { task_id } = await made.json();
  let status = "pending";
  while (status !== "completed" && status !== "failed") {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const task = await (await fetch(`${api}/api/v1/tasks/${task_id}`, { headers })).json();
    status = task.status;
    if (status === "completed") console.log(task.result_url || task.result_urls);
    else if (status === "failed") throw new Error(task.error_message);
  }
}
main().catch((error) => { console.error(error); process.exit(1); });
"""
AXIOS = r"""
const [api, key] = process.argv.slice(1), headers = { "X-API-Key": key };
const body = { prompt: "a wide view", width: 64, height: 64, guidance_scale: 7.5, num_inference_steps: 3 };
const { task_id } = (await axios.post(`${api}/generate`, body, {
  headers: { "Content-Type": "application/json", ...headers },
})).data;
let task = {};
while (task.status !== "completed" && task.status !== "failed") {
  await pause();
  task = (await axios.get(`${api}/tasks/${task_id}`, { headers })).data;
}
const problems = [];
for (const ask of [() => axios.get(`${api}/tasks/${task_id}`), () => axios.get(`${api}/tasks/none`, { headers })]) {
  try { await ask(); } catch (error) { problems.push([error.response.status, error.response.data.detail]); }
}
say({ task, problems });
"""


def completed(server: ThreadServer, payload: dict[str, Any]) -> dict[str, Any]:
    """What a program in Python does: post, then ask until it is done."""
    headers = {"Content-Type": "application/json", "X-API-Key": KEY}
    with requests.Session() as session:
        session.trust_env = False
        result = session.post(f"{server.url}/api/v1/generate", json=payload, headers=headers).json()
        task: dict[str, Any] = {}

        def is_over() -> bool:
            answer = session.get(f"{server.url}/api/v1/tasks/{result['task_id']}", headers={"X-API-Key": KEY})
            task.update(answer.json())
            return task["status"] in {"completed", "failed"}

        until(is_over, "the task", interval_s=0.02)
    assert task["status"] == "completed", task
    return task


def fetched(url: str) -> bytes:
    with requests.Session() as session:
        session.trust_env = False
        content: bytes = session.get(url).content
        return content


def test_text_to_image_in_python(server: ThreadServer) -> None:
    task = completed(
        server,
        {
            "prompt": "a quiet sea in the evening", "width": 64, "height": 64, "num_images": 1,
            "guidance_scale": 7.5, "num_inference_steps": 3, "output_format": "png",
        },
    )  # fmt: skip
    assert opened(fetched(task["result_url"])).size == (64, 64)


def test_image_to_image_in_python(server: ThreadServer, tmp_path: Path) -> None:
    path = tmp_path / "input_image.png"
    path.write_bytes(png(72, 56))
    init_image = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('utf-8')}"
    payload = {
        "prompt": "drawn, in strong colours", "init_image": init_image, "strength": 0.7,
        "guidance_scale": 7.5, "num_inference_steps": 3, "output_format": "png",
    }  # fmt: skip
    assert opened(fetched(completed(server, payload)["result_url"])).size == (72, 56)


def test_several_pictures_in_python(server: ThreadServer) -> None:
    payload = {
        "prompt": "a cat at play", "width": 64, "height": 64, "num_images": 3,
        "guidance_scale": 7.5, "num_inference_steps": 3,
    }  # fmt: skip
    task = completed(server, payload)
    assert len(task["result_urls"]) == 3
    assert [opened(fetched(url)).size for url in task["result_urls"]] == [(64, 64)] * 3


def test_the_same_seed_twice_in_python(server: ThreadServer) -> None:
    payload = {
        "prompt": "a wood at night", "seed": 12345, "guidance_scale": 7.5, "num_inference_steps": 3,
        "width": 64, "height": 64,
    }  # fmt: skip
    first, second = (fetched(completed(server, payload)["result_url"]) for _ in range(2))
    assert first == second


def test_a_receiver_of_callbacks_in_python(server: ThreadServer) -> None:
    """It looks for `image_url` first, so that key may not stand in the callback of several pictures."""
    said: list[str] = []

    def callback(data: dict[str, Any]) -> None:
        if data["status"] == "completed":
            if "image_url" in data:
                said.append(data["image_url"])
            elif "image_urls" in data:
                said.extend(data["image_urls"])
        elif data["status"] == "failed":
            raise AssertionError(data["error_message"])

    with Receiver(200).running() as receiver:
        for number in (1, 2):
            payload = {
                "prompt": "a town to come", "width": 64, "height": 64, "callback_url": receiver.url,
                "guidance_scale": 7.5, "num_inference_steps": 3, "num_images": number,
            }  # fmt: skip
            completed(server, payload)
            callback(receiver.next().body)
    assert [opened(fetched(url)).size for url in said] == [(64, 64)] * 3


@pytest.mark.skipif(shutil.which("jq") is None or shutil.which("curl") is None, reason="needs curl and jq")
def test_the_loop_with_curl_and_jq(server: ThreadServer) -> None:
    environment = {"API": server.url, "KEY": KEY, "PATH": "/usr/bin:/bin:/usr/local/bin", "no_proxy": "*"}
    done = subprocess.run(
        ["sh", "-c", CURL], env=environment, capture_output=True, text=True, timeout=3 * DEADLINE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert opened(fetched(done.stdout.strip())).size == (64, 64)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_loop_in_javascript(server: ThreadServer, tmp_path: Path) -> None:
    program = tmp_path / "generate.mjs"
    program.write_text(NODE)
    done = subprocess.run(
        ["node", program, server.url, KEY], capture_output=True, text=True, timeout=3 * DEADLINE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert opened(fetched(done.stdout.strip())).size == (64, 64)


def test_the_loop_with_axios(server: ThreadServer) -> None:
    """With the requests that axios makes, from Node; what went wrong is where the program looks for it."""
    told = told_by(AXIOS, f"{server.url}/api/v1", KEY)
    assert opened(fetched(told["task"]["result_url"])).size == (64, 64)
    assert told["problems"] == [[401, "认证失败：API Key无效或缺失"], [404, "任务不存在"]]


def test_the_description_pages_are_there(server: ThreadServer) -> None:
    for path in ("/docs", "/redoc"):
        assert "<html" in fetched(f"{server.url}{path}").decode().lower()
    assert json.loads(fetched(f"{server.url}/openapi.json"))["openapi"]
