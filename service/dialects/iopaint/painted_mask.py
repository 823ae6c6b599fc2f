"""A mask as IOPaint's page wants to see it: a layer to lay on a picture."""

import io
from pathlib import Path
from typing import Final

BRUSH: Final = (255, 203, 0, 186)
"""The colour of the page's brush, half transparent."""
_MASKED_FROM: Final = 128


def painted(mask: Path) -> bytes:
    """A mask of ours as a PNG in the colour of the page's brush, transparent where nothing is masked. Blocks.

    Args:
        mask: the file of a grey picture; white is masked.
    """
    from PIL import Image

    with Image.open(mask) as grey:
        shape = grey.convert("L").point([255 if level >= _MASKED_FROM else 0 for level in range(256)])
    layer = Image.new("RGBA", shape.size, (0, 0, 0, 0))
    layer.paste(BRUSH, mask=shape)
    buffer = io.BytesIO()
    layer.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
