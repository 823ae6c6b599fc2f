"""Pictures of every view for docs/images/page: `python -m tests.page.screenshots [VIEW...]`.

Needs Chromium, Playwright and the embedded models. Each picture is a WebP of the view as it is after some work, light
and dark, wide and on a phone.
"""

import argparse
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from tests.browser import Tab, chromium
from tests.servers import DEADLINE_S, MODELS_DIR, REPOSITORY, ThreadServer, thread_server, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

_FOLDER: Final = REPOSITORY / "docs" / "images" / "page"
_SIZES: Final = {"wide": {"width": 1500, "height": 900}, "phone": {"width": 390, "height": 844}}
_SCHEMES: Final = ("light", "dark")
_PROMPTS: Final = (
    "a red apple", "a yellow banana", "a blue car", "a green tree", "a blue fish", "a red car", "a purple flower",
    "a brown dog", "a pink house", "an orange cat",
)  # fmt: skip
_QUALITY: Final = 82


def main() -> None:
    """Make the pictures that the command line names, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.page.screenshots", description=__doc__)
    parser.add_argument("views", nargs="*", metavar="VIEW", help=f"of {', '.join(_VIEWS)}; all if none is given")
    wanted = parser.parse_args().views or list(_VIEWS)
    _FOLDER.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"engine": "torch", "device": "cpu", "models_dir": MODELS_DIR}
    with chromium() as browser, tempfile.TemporaryDirectory() as data, thread_server(Path(data), **options) as server:
        photograph = _work(server)
        for view in wanted:
            place, prepare = _VIEWS[view]
            for size, viewport in _SIZES.items():
                for scheme in _SCHEMES:
                    how: Mapping[str, Any] = {"viewport": viewport, "color_scheme": scheme, "reduced_motion": "reduce"}
                    with _something_at_work(server), Tab(browser, **how) as tab:
                        tab.page.goto(f"{server.url}/#/{place.replace('PHOTOGRAPH', photograph)}")
                        tab.page.locator("sl-connection-state[phase=open]").wait_for()
                        prepare(tab.page)
                        _save(tab.page.screenshot(), f"{view}-{scheme}-{size}")


def _work(server: ThreadServer) -> str:
    """Let the server do something to be seen; returns the address of a photograph."""
    with server.client() as client:
        until(lambda: client.get("/v1/health/ready").is_success, "the models", deadline_s=30 * DEADLINE_S)
        image = (MODELS_DIR / "demo-photograph.jpg").read_bytes()
        photograph = str(client.post("/v1/uploads", content=image).json()["ref"])
        jobs: list[dict[str, Any]] = [{"task": "test_pattern", "params": {"fail_at_step": 1}}]
        jobs += [
            {"task": "text_to_image", "params": {"prompt": prompt, "steps": 12, "seed": place}}
            for place, prompt in enumerate(_PROMPTS)
        ]
        jobs += [
            {"task": "upscale", "params": {"image": photograph, "model": "compact"}},
            {"task": "remove_background", "params": {"image": photograph, "model": "u2netp"}},
            {"task": "text_to_image", "params": {"prompt": "a red apple", "steps": 12, "seed": 7, "images": 4}},
        ]
        for job in jobs:
            answer = client.post("/v1/jobs", json=job)
            assert answer.status_code == 202, answer.text
            path = f"/v1/jobs/{answer.json()['id']}"
            until(lambda path=path: client.get(path).json().get("finished_at"), path, deadline_s=30 * DEADLINE_S)
    return photograph


@contextmanager
def _something_at_work(server: ThreadServer) -> Iterator[None]:
    """Two jobs that go on until the block ends, and leave nothing."""
    with server.client() as client:
        wanted = {"task": "text_to_image", "previews": "all"}
        asked = [{"prompt": prompt, "steps": 500, "seed": 5} for prompt in ("a yellow flower", "a green frog")]
        jobs = [client.post("/v1/jobs", json={**wanted, "params": params}).json()["id"] for params in asked]
        yield
        for job in jobs:
            client.delete(f"/v1/jobs/{job}")
            client.get(f"/v1/jobs/{job}", params={"wait": DEADLINE_S})
            client.delete(f"/v1/jobs/{job}/record")


def _make(page: "Page") -> None:
    page.locator("sl-job-card progress").first.wait_for()
    # On a phone the form comes first, and what is not in sight does not develop.
    if page.locator("sl-job-card").first.evaluate("card => card.getBoundingClientRect().top < innerHeight"):
        page.locator("sl-job-picture[data-step]").first.wait_for(state="attached")
    _pictures(page)


def _edit(page: "Page") -> None:
    page.locator("sl-mask-canvas").wait_for()
    page.wait_for_load_state("networkidle")
    box = page.locator("sl-mask-canvas canvas").first.bounding_box()
    if box is None:
        return
    across, down = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(across - 60, down)
    page.mouse.down()
    page.mouse.move(across + 60, down + 30, steps=8)
    page.mouse.up()


def _history(page: "Page") -> None:
    page.locator("sl-active-job img:visible").first.wait_for()
    page.locator("sl-job-tile:not([pending])").first.wait_for()
    _pictures(page)


def _details(page: "Page") -> None:
    page.locator("sl-job-tile:not([pending])").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Output 4").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Output 1").focus()
    _pictures(page)


def _models(page: "Page") -> None:
    page.locator("sl-model-row").first.wait_for()


def _pictures(page: "Page") -> None:
    page.wait_for_function("() => [...document.images].every((image) => image.hidden || image.complete)")


_VIEWS: Final[Mapping[str, tuple[str, Callable[["Page"], None]]]] = {
    "make": ("make", _make),
    "edit": ("edit?picture=PHOTOGRAPH", _edit),
    "history": ("history", _history),
    "details": ("history", _details),
    "models": ("models", _models),
}


def _save(png: bytes, name: str) -> None:
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").save(_FOLDER / f"{name}.webp", quality=_QUALITY, method=6)


if __name__ == "__main__":
    main()
