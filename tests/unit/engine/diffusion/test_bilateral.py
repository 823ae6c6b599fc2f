"""A blur that stops at the edges of another picture."""

import torch
from torch import Tensor

from engine.diffusion.bilateral import SIDE, blurred_along


def noise(height: int = 20, width: int = 24, channels: int = 4) -> Tensor:
    return torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(3))


def halves(height: int = 20, width: int = 24) -> Tensor:
    guide = torch.zeros(1, 3, height, width)
    guide[..., width // 2 :] = 1
    return guide


def test_an_even_picture_stays_as_it_is() -> None:
    even = torch.full((1, 4, 20, 24), 0.7)
    assert torch.allclose(blurred_along(even, noise()), even)


def test_under_an_even_guide_each_value_is_the_gaussian_mean_of_its_neighbours() -> None:
    picture = noise()
    offsets = torch.arange(-6, 7) / 3.0
    weights = torch.exp(-0.5 * (offsets[:, None] ** 2 + offsets[None] ** 2))
    y, x = 9, 11
    square = picture[0, :, y - 6 : y + 7, x - 6 : x + 7]
    expected = (square * weights).sum((1, 2)) / weights.sum()
    assert torch.allclose(blurred_along(picture, torch.zeros(1, 1, 20, 24))[0, :, y, x], expected, atol=1e-5)


def test_what_lies_beyond_an_edge_of_the_guide_counts_less() -> None:
    picture = halves()
    plain, along = blurred_along(picture, torch.zeros_like(picture)), blurred_along(picture, halves())
    dark = (..., slice(6, 12))
    assert along[dark].mean() < 0.8 * plain[dark].mean()


def test_the_size_of_the_guides_values_does_not_count() -> None:
    guide = noise(channels=2)
    assert torch.allclose(blurred_along(noise(), guide), blurred_along(noise(), 50 * guide + 8), atol=1e-4)


def test_pictures_smaller_than_the_square_are_blurred_too() -> None:
    picture = noise(SIDE // 2, 5)
    made = blurred_along(picture, picture)
    assert made.shape == picture.shape
    assert made.std() < picture.std()


def test_half_precision_stays_half_precision() -> None:
    assert blurred_along(noise().half(), noise().half()).dtype is torch.float16
