"""`safelight run erase|inpaint --image FOLDER` as a process, against real servers."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms, ImageOps

from tests.servers import DEADLINE_S, REPOSITORY, ThreadServer, thread_server, until

Safelight = Callable[..., "subprocess.CompletedProcess[str]"]

NOBODY = "http://127.0.0.1:1"
WIDE = (96, 64)
HOLE = (20, 20, 40, 40)
ORIENTATION, MAKER = 0x0112, 0x010F
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="module")
def eraser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """A server that really erases, by the methods that need no weights."""
    folder = tmp_path_factory.mktemp("eraser")
    with thread_server(folder / "data", engine="torch", device="cpu", models_dir=folder / "models") as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the command is typed: with an empty folder `in`, and a mask."""
    home = tmp_path / "home"
    (home / "in").mkdir(parents=True)
    layer = Image.new("L", WIDE)
    layer.paste(255, HOLE)
    layer.save(home / "mask.png")
    return home


@pytest.fixture
def safelight(folder: Path) -> Safelight:
    """Runs `safelight run` in `folder` against a server."""

    def run(server: ThreadServer | str, *arguments: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command(server if isinstance(server, str) else server.url, *arguments),
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=6 * DEADLINE_S,
            check=False,
        )

    return run


def command(url: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "safelight", "run", *map(str, arguments), "--url", url]


def environment() -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SAFELIGHT_")}
    return {**plain, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"}


def scene(mode: str = "RGB") -> Image.Image:
    """Gradients that differ in each channel, and in `RGBA` transparency that varies too."""
    grey = Image.linear_gradient("L").resize(WIDE)
    bands = [grey, ImageOps.mirror(grey.rotate(90).resize(WIDE)), ImageOps.invert(grey), grey]
    return Image.merge(mode, bands[: len(mode)])


def changed_box(before: Path, after: Path) -> tuple[int, int, int, int] | None:
    """The rectangle that holds all that differs between two upright pictures of one size."""
    with Image.open(before) as old, Image.open(after) as new:
        upright = ImageOps.exif_transpose(old).convert("RGB")
        assert new.size == upright.size
        return ImageChops.difference(upright, new.convert("RGB")).getbbox()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def states(server: ThreadServer) -> list[str]:
    with server.client() as http:
        return [job["status"] for job in http.get("/v1/jobs").json()["jobs"]]


def unfinished(server: ThreadServer) -> int:
    return sum(status in {"queued", "running"} for status in states(server))


@pytest.mark.parametrize("model", ["cv2", "patchmatch", None])
def test_every_format_keeps_its_size_its_format_and_all_that_is_not_masked(
    eraser: ThreadServer, safelight: Safelight, folder: Path, model: str | None
) -> None:
    for suffix in ("png", "bmp", "tif", "ppm"):
        scene().save(folder / "in" / f"lossless.{suffix}")
    scene("RGBA").save(folder / "in" / "alpha.png", dpi=(150, 150))
    for suffix in ("jpg", "webp", "gif"):
        scene().save(folder / "in" / f"lossy.{suffix}", quality=95)
    chosen = ("--model", model) if model else ()
    done = safelight(eraser, "erase", "--image", "in", "--mask", "mask.png", "--output", "out", *chosen,
                     "--set", "grow_px=0", "--set", "feather_px=0")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert names(folder / "out") == names(folder / "in")
    for name in names(folder / "in"):
        with Image.open(folder / "in" / name) as before, Image.open(folder / "out" / name) as after:
            assert (after.format, after.size) == (before.format, WIDE)
    for name in ("lossless.png", "lossless.bmp", "lossless.tif", "lossless.ppm", "alpha.png"):
        box = changed_box(folder / "in" / name, folder / "out" / name)
        assert box is not None
        assert box[0] >= HOLE[0]
        assert box[1] >= HOLE[1]
        assert box[2] <= HOLE[2]
        assert box[3] <= HOLE[3]
    with Image.open(folder / "in" / "alpha.png") as before, Image.open(folder / "out" / "alpha.png") as after:
        difference = ImageChops.difference(before.getchannel("A"), after.getchannel("A"))
        if model is None:  # hole by hole transparency is filled as colours are
            difference.paste(0, HOLE)
        assert difference.getbbox() is None
        assert after.info["dpi"] == before.info["dpi"]


def test_a_picture_on_its_side_comes_out_upright_with_what_its_file_said(
    eraser: ThreadServer, safelight: Safelight, folder: Path
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKER] = 6, "Camera"
    scene().save(folder / "in" / "a.jpg", exif=exif, dpi=(300, 300), icc_profile=PROFILE, quality=98)
    upright_mask = Image.new("L", WIDE[::-1])
    upright_mask.paste(255, HOLE)
    upright_mask.save(folder / "mask.png")
    done = safelight(eraser, "erase", "--image", "in", "--mask", "mask.png", "--output", "out", "--model", "cv2",
                     "--set", "quality=98")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with Image.open(folder / "out" / "a.jpg") as after, Image.open(folder / "in" / "a.jpg") as before:
        assert after.size == WIDE[::-1]
        assert after.info["dpi"] == (300, 300)
        assert after.info["icc_profile"] == PROFILE
        assert dict(after.getexif()) == {MAKER: "Camera"}
        difference = ImageChops.difference(ImageOps.exif_transpose(before), after).convert("L")
    outside = difference.copy()
    outside.paste(0, (HOLE[0] - 8, HOLE[1] - 8, HOLE[2] + 8, HOLE[3] + 8))
    largest = outside.getextrema()[1]
    assert isinstance(largest, int | float)
    assert largest <= 8, "the rest of the picture is where it was"


def test_masks_by_name_and_pictures_without_one_are_named_and_end_with_1(
    server: ThreadServer, safelight: Safelight, folder: Path
) -> None:
    (folder / "masks").mkdir()
    for name in ("a.jpg", "b.png", "c.png"):
        scene().save(folder / "in" / name)
    for name in ("a.png", "c.png"):
        Image.open(folder / "mask.png").resize((48, 32)).save(folder / "masks" / name)
    done = safelight(server, "erase", "--image", "in", "--mask", "masks", "--output", "out")
    assert done.returncode == 1, done.stderr
    assert names(folder / "out") == ["a.jpg", "c.png"]
    assert "2 written, 1 without a mask" in done.stdout
    assert "without a mask: b.png" in done.stdout


def test_a_second_run_does_only_what_is_missing_and_needs_no_server_for_nothing(
    server: ThreadServer, safelight: Safelight, folder: Path
) -> None:
    for name in ("a.png", "b.png"):
        scene().save(folder / "in" / name)
    run = ("erase", "--image", "in", "--mask", "mask.png", "--output", "out")
    assert safelight(server, *run).returncode == 0
    (folder / "out" / "a.png").unlink()
    kept = (folder / "out" / "b.png").stat().st_mtime_ns
    again = safelight(server, *run)
    assert "1 written, 1 there already" in again.stdout
    assert (folder / "out" / "b.png").stat().st_mtime_ns == kept
    assert len(states(server)) == 3
    nothing = safelight(NOBODY, *run)
    assert nothing.returncode == 0, nothing.stderr
    assert "2 there already" in nothing.stdout
    assert safelight(server, *run, "--overwrite").returncode == 0
    assert (folder / "out" / "b.png").stat().st_mtime_ns != kept


def test_files_that_fail_are_told_with_the_reason_and_stop_no_other(
    server: ThreadServer, safelight: Safelight, folder: Path
) -> None:
    (folder / "masks").mkdir()
    for name in ("a.png", "b.png", "c.png", "d.png"):
        scene().save(folder / "in" / name)
        Image.open(folder / "mask.png").save(folder / "masks" / name)
    (folder / "in" / "a.png").write_bytes(b"no picture")
    (folder / "in" / "b.png").write_bytes((folder / "in" / "c.png").read_bytes()[:-30])
    Image.new("L", WIDE, 255).save(folder / "masks" / "d.png")  # leaves nothing to fill from
    done = safelight(server, "erase", "--image", "in", "--mask", "masks", "--output", "out", "--jobs", "1")
    assert done.returncode == 1, done.stderr
    assert names(folder / "out") == ["c.png"]
    assert "1 written, 3 failed" in done.stdout
    assert "failed: a.png: cannot read the picture" in done.stdout
    assert re.search(r"failed: b\.png: .*(truncated|damaged)", done.stdout)
    assert "failed: d.png: mask: covers the whole picture" in done.stdout
    assert "Traceback" not in done.stderr


def test_concat_puts_picture_mask_and_result_side_by_side(
    server: ThreadServer, safelight: Safelight, folder: Path
) -> None:
    scene().save(folder / "in" / "a.jpg")
    done = safelight(server, "erase", "--image", "in", "--mask", "mask.png", "--output", "out", "--concat")
    assert done.returncode == 0, done.stderr
    with Image.open(folder / "out" / "a.png") as row, Image.open(folder / "mask.png") as mask:
        assert row.size == (3 * WIDE[0], WIDE[1])
        middle = row.crop((WIDE[0], 0, 2 * WIDE[0], WIDE[1])).convert("L")
        assert middle.tobytes() == mask.tobytes()


def test_inpaint_takes_prompt_model_and_a_file_of_parameters(
    server: ThreadServer, safelight: Safelight, folder: Path
) -> None:
    scene().save(folder / "in" / "a.png")
    (folder / "config.json").write_text('{"steps": 3, "seed": 7, "prompt": "of the file"}', "utf-8")
    done = safelight(server, "inpaint", "--image", "in/a.png", "--mask", "mask.png", "--output", "new.webp",
                     "--config", "config.json", "-p", "a red apple", "--model", "fake")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with Image.open(folder / "new.webp") as picture:
        assert (picture.format, picture.size) == ("WEBP", WIDE)
    with server.client() as http:
        (job,) = http.get("/v1/jobs").json()["jobs"]
        params = http.get(f"/v1/jobs/{job['id']}").json()["params"]
    wanted = {"prompt": "a red apple", "model": "fake", "steps": 3, "seed": 7, "keep_metadata": True, "format": "webp"}
    assert {name: params[name] for name in wanted} == wanted


def test_regions_do_for_a_mask(server: ThreadServer, safelight: Safelight, folder: Path) -> None:
    scene().save(folder / "in" / "a.png")
    done = safelight(server, "erase", "--image", "in", "--region", "20,20,9,9", "--output", "out", "--concat")
    assert done.returncode == 0, done.stderr
    with Image.open(folder / "out" / "a.png") as row:
        assert row.convert("RGB").getpixel((WIDE[0] + 20, 20)) == (255, 255, 255)
        assert row.convert("RGB").getpixel((WIDE[0] + 29, 20)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("erase", "--image", "in", "--mask", "mask.png"), "--output"),
        (("erase", "--image", "in", "--output", "out"), "--mask"),
        (("erase", "a.png", "--image", "in", "--mask", "mask.png", "--output", "out"), "a.png"),
        (("upscale", "--image", "in", "--mask", "mask.png", "--output", "out"), "erase or inpaint"),
        (("erase", "--image", "in", "--mask", "mask.png", "--output", "in"), "one of the pictures"),
        (("erase", "--image", "in", "--mask", "mask.png", "--output", "out", "--set", "grow_px=-1"), "0..256"),
        (("erase", "--image", "in", "--mask", "mask.png", "--output", "out", "--model", "lamb"), "lama"),
        (("erase", "in/a.png", "--mask", "mask.png", "--overwrite"), "--image"),
    ],
)
def test_a_mistake_ends_with_2_and_writes_nothing(
    server: ThreadServer, safelight: Safelight, folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    for name in ("a.png", "b.png"):
        scene().save(folder / "in" / name)
    done = safelight(server, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert names(folder / "out") == []
    assert names(folder / "in") == ["a.png", "b.png"]


def test_a_model_that_is_missing_is_told_once_and_ends_the_batch(
    tmp_path: Path, safelight: Safelight, folder: Path
) -> None:
    for number in range(9):
        scene().save(folder / "in" / f"{number}.png")
    settings: dict[str, Any] = {"engine": "torch", "device": "cpu", "allow_model_downloads": False}
    with thread_server(tmp_path / "other", models_dir=tmp_path / "models", **settings) as server:
        done = safelight(server, "erase", "--image", "in", "--mask", "mask.png", "--output", "out", "--model", "lama",
                         "--jobs", "2")  # fmt: skip
        assert len(states(server)) <= 4
    assert done.returncode == 2, done.stdout
    assert done.stderr.count("the model 'lama' is not there") == 1
    assert "9 not begun" in done.stdout


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[ThreadServer]:
    """A server whose jobs take a while."""
    with thread_server(tmp_path / "slow", fake_step_s=0.15) as running:
        yield running


@pytest.fixture
def started(slow: ThreadServer, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A batch of eight pictures, three at a time, of which the first results are there."""
    for number in range(8):
        scene().save(folder / "in" / f"{number}.png")
    run = command(slow.url, "erase", "--image", "in", "--mask", "mask.png", "--output", "out", "--jobs", "3")
    process = subprocess.Popen(run, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "wrote" in line:
            break
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_as_many_run_at_a_time_as_were_asked_for(started: "subprocess.Popen[str]", slow: ThreadServer) -> None:
    until(lambda: unfinished(slow) == 3, "three jobs to be on their way")
    assert len(states(slow)) < 8
    seen = [unfinished(slow)]

    def has_ended() -> bool:
        seen.append(unfinished(slow))
        return started.poll() is not None

    until(has_ended, "the batch to end", deadline_s=6 * DEADLINE_S)
    assert max(seen) == 3
    assert started.returncode == 0


def test_ctrl_c_cancels_what_runs_leaves_no_half_file_and_the_same_command_goes_on(
    started: "subprocess.Popen[str]", slow: ThreadServer, safelight: Safelight, folder: Path
) -> None:
    until(lambda: unfinished(slow) == 3, "three jobs to be on their way")
    started.send_signal(signal.SIGINT)
    output, _ = started.communicate(timeout=3 * DEADLINE_S)
    assert started.returncode == 130, output
    assert "cancelled" in output
    assert "not begun" in output
    assert "the same command goes on" in output
    assert "cancelled" in states(slow)
    assert not {"queued", "running"} & set(states(slow))
    there = names(folder / "out")
    assert 1 <= len(there) < 8
    for name in there:
        with Image.open(folder / "out" / name) as picture:
            picture.load()
    again = safelight(slow, "erase", "--image", "in", "--mask", "mask.png", "--output", "out", "--jobs", "8")
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"{8 - len(there)} written, {len(there)} there already" in again.stdout
    assert names(folder / "out") == names(folder / "in")


def test_a_second_ctrl_c_leaves_without_waiting(tmp_path: Path, folder: Path) -> None:
    scene().save(folder / "in" / "a.png")
    with thread_server(tmp_path / "slow", fake_step_s=2.0) as server:
        run = command(server.url, "erase", "--image", "in", "--mask", "mask.png", "--output", "out")
        with subprocess.Popen(run, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                until(lambda: states(server) == ["running"], "the job to run")
                process.send_signal(signal.SIGINT)
                assert "press Ctrl-C again" in process.stdout.readline()
                process.send_signal(signal.SIGINT)
                assert "left" in process.stdout.readline()
                assert process.wait(3 * DEADLINE_S) == 130
            finally:
                process.kill()
    assert names(folder / "out") == []


def test_a_batch_that_is_killed_leaves_whole_files_and_the_same_command_goes_on(
    started: "subprocess.Popen[str]", slow: ThreadServer, safelight: Safelight, folder: Path
) -> None:
    started.kill()
    started.communicate()
    there = [name for name in names(folder / "out") if not name.startswith(".")]
    assert 1 <= len(there) < 8
    again = safelight(slow, "erase", "--image", "in", "--mask", "mask.png", "--output", "out", "--jobs", "8")
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"{len(there)} there already" in again.stdout
    for name in names(folder / "in"):
        with Image.open(folder / "out" / name) as picture:
            picture.load()


def test_a_full_queue_is_waited_for(tmp_path: Path, safelight: Safelight, folder: Path) -> None:
    for number in range(3):
        scene().save(folder / "in" / f"{number}.png")
    long = {"task": "test_pattern", "params": {"steps": 60, "step_ms": 50}}
    with thread_server(tmp_path / "small", max_queued_jobs=1, max_live_jobs=1) as small, small.client() as http:
        assert http.post("/v1/jobs", json=long).status_code == 202
        until(lambda: states(small) == ["running"], "the first job to run")
        assert http.post("/v1/jobs", json=long).status_code == 202
        assert http.post("/v1/jobs", json=long).status_code == 429
        done = safelight(small, "erase", "--image", "in", "--mask", "mask.png", "--output", "out")
        assert http.get("/v1/jobs?task=test_pattern").json()["jobs"][1]["status"] == "succeeded"
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 written" in done.stdout


def test_nobody_there_ends_with_3(safelight: Safelight, folder: Path) -> None:
    scene().save(folder / "in" / "a.png")
    done = safelight(NOBODY, "erase", "--image", "in", "--mask", "mask.png", "--output", "out")
    assert done.returncode == 3, done.stdout
    assert "1 not begun" in done.stdout
    assert "start it with: safelight serve" in done.stderr
    assert names(folder / "out") == []
