"""Whitening, and the lots that are drawn from encoded scenes."""

from collections import Counter

import numpy as np
import pytest
import torch

from training.spark import vae
from training.spark.latents import Index, every_scene, whiten
from training.spark.scenes import compose, draw_lots
from training.spark.sprites import Sprites
from training.spark.words import NOUNS


@torch.no_grad()
def test_whitened_latents_have_no_mean_unit_deviation_and_decode_as_before(small: None, sprites: Sprites) -> None:
    torch.manual_seed(0)
    model = vae.build()
    pictures = compose(sprites, draw_lots(sprites, 8, np.random.default_rng(4)))
    before = model.encode(pictures).latent_dist
    decoded = model.decode(before.mean).sample
    whiten(model, before.mean.mean(dim=(0, 2, 3)), before.mean.std(dim=(0, 2, 3)))
    after = model.encode(pictures).latent_dist
    torch.testing.assert_close(after.mean.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(after.mean.std(dim=(0, 2, 3)), torch.ones(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(model.decode(after.mean).sample, decoded, atol=1e-4, rtol=0)
    torch.testing.assert_close(after.std * before.mean.std(dim=(0, 2, 3))[None, :, None, None], before.std)


def test_nouns_come_evenly_however_many_scenes_they_have(sprites: Sprites) -> None:
    scenes = every_scene(sprites)
    rows = Index(scenes).draw(len(NOUNS) * 60, np.random.default_rng(6))
    counts = Counter(scenes[row].noun for row in rows)
    assert len(counts) == len(NOUNS)
    assert min(counts.values()) > 25
    assert max(counts.values()) < 110


def test_a_third_of_the_pictures_has_the_icons_own_colours(sprites: Sprites) -> None:
    scenes = every_scene(sprites)
    rows = Index(scenes).draw(4000, np.random.default_rng(6))
    own = sum(scenes[row].variant == 0 for row in rows) / 4000
    assert own == pytest.approx(0.35, abs=0.04)
