"""`<lora:NAME:WEIGHT>` in a prompt, as users of AUTOMATIC1111's web UI type it. Imports no torch."""

import re
from collections.abc import Sequence
from typing import Final

from protocol.generation import LoraRef

_TAG: Final = re.compile(r"<lora:([^<>:]{1,300})(?::\s*([+-]?(?:\d{1,4}(?:\.\d{0,16})?|\.\d{1,16}))\s*)?>", re.ASCII)
_SPACES: Final = re.compile(r"[ \t]{2,}")


def take_out_loras(prompt: str) -> tuple[str, Sequence[LoraRef]]:
    """Split a prompt into its text and the LoRAs it names; a tag without a weight has the weight 1.

    Never raises: what does not read as a tag stays text, and weights are not checked. A prompt without tags comes back
    as it is.

    Returns:
        text: without the tags.
        loras: in the order of the tags.
    """
    named = [
        LoraRef.model_construct(name=match[1].strip(), weight=float(match[2] or 1.0)) for match in _TAG.finditer(prompt)
    ]
    if not named:
        return prompt, ()
    return _SPACES.sub(" ", _TAG.sub("", prompt)).strip(), named
