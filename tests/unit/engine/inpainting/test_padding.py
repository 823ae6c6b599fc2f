"""Pictures are made to fit a model by mirroring, at the right and the bottom only."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.inpainting.lama import LAMA
from engine.inpainting.mat import MAT
from engine.inpainting.padding import pad, padded_size
from engine.inpainting.zits import ZITS


@pytest.mark.parametrize(
    ("spec", "size", "padded"),
    [
        (LAMA, (45, 61), (48, 64)),
        (LAMA, (48, 64), (48, 64)),
        (ZITS, (10, 300), (320, 320)),
        (ZITS, (10, 20), (256, 256)),
        (MAT, (513, 10), (1024, 1024)),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_model_is_shown_the_smallest_size_it_takes(spec: object, size: object, padded: object) -> None:
    assert padded_size(*size, spec) == padded  # type: ignore[misc, arg-type] # from the table above


@given(height=st.integers(1, 40), width=st.integers(1, 40), multiple=st.integers(1, 33), is_square=st.booleans())
def test_what_was_given_stays_at_the_top_left(height: int, width: int, multiple: int, is_square: bool) -> None:
    spec = replace(LAMA, pad_multiple=multiple, is_square=is_square)
    pixels = np.arange(height * width * 3, dtype=np.uint32).reshape(height, width, 3).astype(np.uint8)
    padded = pad(pixels, spec)
    assert padded.shape[:2] == padded_size(height, width, spec)
    assert all(side % multiple == 0 for side in padded.shape[:2])
    assert np.array_equal(padded[:height, :width], pixels)


def test_the_rest_is_the_mirror_image_with_the_edge_in_it_again_and_again() -> None:
    row = np.array([[1, 2, 3]], np.uint8)
    spec = replace(LAMA, pad_multiple=1, min_px=8)
    assert pad(row, spec)[0].tolist() == [1, 2, 3, 3, 2, 1, 1, 2]
    assert (pad(row, spec) == pad(row, spec)[0]).all()
