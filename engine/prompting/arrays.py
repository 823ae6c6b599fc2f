"""`[[red, green]]` in a prompt: image 0 of a job takes the first item, image 1 the second.

Several arrays give every combination, the first array changing fastest; after the last one it begins anew. Items are
taken as they stand between the commas, blanks and all.

Source of the syntax: Fooocus' "array processing".
"""

import re
from typing import Final

_ARRAY: Final = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)


def pick_items(text: str, image: int) -> str:
    """The text with one item in the place of each array.

    Args:
        image: 0-based number of the image in its job.
    """
    left = image

    def item(array: re.Match[str]) -> str:
        nonlocal left
        items = array[1].split(",")
        left, at = divmod(left, len(items))
        return items[at]

    return _ARRAY.sub(item, text)
