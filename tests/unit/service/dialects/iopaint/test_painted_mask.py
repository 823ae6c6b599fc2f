"""Of `service.dialects.iopaint.painted_mask`."""

import io
from pathlib import Path

from PIL import Image

from service.dialects.iopaint.painted_mask import BRUSH, painted


def test_a_mask_is_painted_from_its_middle_up(tmp_path: Path) -> None:
    grey = Image.new("L", (3, 1))
    grey.putdata([0, 127, 128])
    grey.save(tmp_path / "mask.png")
    with Image.open(io.BytesIO(painted(tmp_path / "mask.png"))) as layer:
        assert [layer.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0, 0), (0, 0, 0, 0), BRUSH]
