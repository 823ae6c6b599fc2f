"""Both trainings: interrupted and continued, they end where an uninterrupted one ends."""

from pathlib import Path
from typing import Any

import pytest
import torch

from training.spark import decoder, preview_decoder, unet, vae
from training.spark.budget import Budget
from training.spark.latents import Latents, every_scene, prepare
from training.spark.scenes import Scene
from training.spark.sprites import Sprites
from training.spark.stock import AutoencoderTiny
from training.spark.threads import Threads
from training.spark.words import BACKGROUNDS

CPU = torch.device("cpu")
ONE = Threads(1)


@pytest.fixture
def latents(sprites: Sprites) -> Latents:
    scenes = every_scene(sprites)
    values = torch.randn(len(scenes), 4, 16, 16, generator=torch.Generator().manual_seed(1)).half()
    return Latents(values, scenes)


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def stored(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def test_an_interrupted_autoencoder_ends_as_an_uninterrupted_one(small: None, sprites: Sprites, tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    vae.train(whole, sprites, Budget(steps=6), CPU, threads=ONE, precision="fp32")
    _stop_after(3, halves, sprites)
    progress = vae.train(halves, sprites, Budget(steps=6), CPU, threads=ONE, precision="fp32")
    assert progress.step == 6
    first, second = stored(whole / "vae.pt"), stored(halves / "vae.pt")
    assert same(first["vae"], second["vae"])
    assert same(first["average"], second["average"])


def _stop_after(steps: int, work_dir: Path, sprites: Sprites) -> None:
    """Train as if for six steps, and be killed after `steps` with a checkpoint just made."""
    made = 0

    class Killed(Exception):
        pass

    class Mortal(Threads):
        def finished(self, seconds: float) -> None:
            nonlocal made
            made += 1
            if made > steps:
                raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vae, "CHECKPOINT_EVERY", steps)
        with pytest.raises(Killed):
            vae.train(work_dir, sprites, Budget(steps=6), CPU, threads=Mortal(1), precision="fp32")


def test_an_extended_denoiser_ends_as_one_with_the_longer_budget(small: None, latents: Latents, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unet, "DECAY_FROM", 1.0)
        unet.train(parts, latents, Budget(steps=3), CPU, precision="fp32")
        unet.train(parts, latents, Budget(steps=6), CPU, precision="fp32")
        unet.train(whole, latents, Budget(steps=6), CPU, precision="fp32")
    first, second = stored(whole / "unet.pt"), stored(parts / "unet.pt")
    assert same(first["modules"], second["modules"])
    assert same(first["average"], second["average"])


def test_the_checkpoint_before_the_fall_is_kept(
    small: None, latents: Latents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unet, "CHECKPOINT_EVERY", 1)
    monkeypatch.setattr(unet, "DECAY_FROM", 0.65)
    unet.train(tmp_path, latents, Budget(steps=10), CPU, precision="fp32")
    assert stored(tmp_path / "unet.pt")["progress"]["step"] == 10
    assert stored(tmp_path / unet.PLATEAU)["progress"]["step"] == 7


def test_a_budget_that_is_used_up_trains_no_further(small: None, latents: Latents, tmp_path: Path) -> None:
    unet.train(tmp_path, latents, Budget(steps=2), CPU, precision="fp32")
    assert unet.train(tmp_path, latents, Budget(steps=2), CPU, precision="fp32").step == 2


def test_the_text_encoder_learns_with_the_denoiser(small: None, latents: Latents, tmp_path: Path) -> None:
    torch.manual_seed(14)
    before = unet.build().state_dict()
    unet.train(tmp_path, latents, Budget(steps=3), CPU, precision="fp32")
    after = stored(tmp_path / "unet.pt")["modules"]
    name = next(name for name in before if "token_embedding" in name)
    assert not torch.equal(before[name], after[name])


def test_latents_are_encoded_once_and_belong_to_their_autoencoder(
    small: None, sprites: Sprites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [Scene(noun, 0, 0) for noun in range(20)]
    monkeypatch.setattr("training.spark.latents.every_scene", lambda *_: few)
    vae.train(tmp_path, sprites, Budget(steps=1), CPU, threads=ONE, precision="fp32")
    first = prepare(tmp_path, sprites, CPU)
    (tmp_path / "vae.pt").unlink()
    again = prepare(tmp_path, sprites, CPU)
    torch.testing.assert_close(first.values, again.values)
    assert float(first.values.float().mean()) == pytest.approx(0, abs=0.02)


def test_training_the_decoder_leaves_the_latents_as_they_are(
    small: None, sprites: Sprites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [Scene(noun, 0, 0) for noun in range(20)]
    monkeypatch.setattr("training.spark.latents.every_scene", lambda *_: few)
    vae.train(tmp_path, sprites, Budget(steps=1), CPU, threads=ONE, precision="fp32")
    prepare(tmp_path, sprites, CPU)
    before = decoder.best_vae(tmp_path).state_dict()
    decoder.train(tmp_path, sprites, Budget(steps=2), CPU, threads=ONE, precision="fp32")
    after = decoder.best_vae(tmp_path).state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"decoder", "post_quant_conv"}


def test_a_new_encoding_forgets_the_decoder_of_the_old_one(
    small: None, sprites: Sprites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [Scene(noun, 0, 0) for noun in range(20)]
    monkeypatch.setattr("training.spark.latents.every_scene", lambda *_: few)
    vae.train(tmp_path, sprites, Budget(steps=1), CPU, threads=ONE, precision="fp32")
    files = [tmp_path / decoder.FILE, tmp_path / preview_decoder.FILE]
    for file in files:
        file.write_bytes(b"of other latents")
    prepare(tmp_path, sprites, CPU)
    assert not any(file.exists() for file in files)


@pytest.fixture
def encoded(small: None, sprites: Sprites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Latents:
    """A work folder with an autoencoder, and the latents of two nouns on every background."""
    few = [Scene(noun, 0, background) for noun in range(2) for background in range(len(BACKGROUNDS))]
    monkeypatch.setattr("training.spark.latents.every_scene", lambda *_: few)
    vae.train(tmp_path, sprites, Budget(steps=1), CPU, threads=ONE, precision="fp32")
    return prepare(tmp_path, sprites, CPU)


def test_the_preview_decoder_comes_nearer_to_the_full_one(encoded: Latents, tmp_path: Path) -> None:
    full = decoder.best_vae(tmp_path)
    preview_decoder.train(tmp_path, encoded, Budget(steps=1), CPU, threads=ONE, precision="fp32")
    before = preview_decoder.measure_db(preview_decoder.trained(tmp_path), full, encoded, count=8)
    progress = preview_decoder.train(tmp_path, encoded, Budget(steps=25), CPU, threads=ONE, precision="fp32")
    assert progress.step == 25
    assert preview_decoder.measure_db(preview_decoder.trained(tmp_path), full, encoded, count=8) > before + 1


def test_an_interrupted_preview_decoder_ends_as_an_uninterrupted_one(encoded: Latents, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preview_decoder, "learning_rate_factor", lambda *_, **__: 1.0)
        preview_decoder.train(tmp_path, encoded, Budget(steps=4), CPU, threads=ONE, precision="fp32")
        whole = preview_decoder.trained(tmp_path).state_dict()
        (tmp_path / preview_decoder.FILE).unlink()
        for steps in (2, 4):
            preview_decoder.train(tmp_path, encoded, Budget(steps=steps), CPU, threads=ONE, precision="fp32")
    assert same(whole, preview_decoder.trained(tmp_path).state_dict())


def test_an_exported_preview_decoder_decodes_as_the_trained_one(encoded: Latents, tmp_path: Path) -> None:
    preview_decoder.train(tmp_path, encoded, Budget(steps=2), CPU, threads=ONE, precision="fp32")
    (tmp_path / "model" / "unet").mkdir(parents=True)
    preview_decoder.export(tmp_path, tmp_path / "model")
    place = tmp_path / "model" / preview_decoder.FOLDER
    assert sum(path.stat().st_size for path in place.iterdir()) < 200_000
    exported = AutoencoderTiny.from_pretrained(place, dtype=torch.float32)
    given = encoded.values[:2].float()
    trained = preview_decoder.trained(tmp_path).decode(given).sample
    torch.testing.assert_close(exported.decode(given).sample, trained, atol=0.02, rtol=0)
    assert (tmp_path / "model" / "unet").exists()
