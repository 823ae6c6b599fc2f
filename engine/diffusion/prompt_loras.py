"""`<lora:NAME:WEIGHT>` in a prompt, as users of AUTOMATIC1111's web UI and of Fooocus type it. Imports no torch."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from protocol.generation import LoraRef

_TAG: Final = re.compile(r"<lora:([^<>:]{1,300})(?::\s*([+-]?(?:\d{1,4}(?:\.\d{0,16})?|\.\d{1,16}))\s*)?>", re.ASCII)
MAX_FOOOCUS_LORAS: Final = 5
"""In the syntax of Fooocus tags add to the LoRAs of the request up to this number."""
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


def with_tagged(
    asked: Sequence[LoraRef],
    tagged: Sequence[LoraRef],
    found_as: Callable[[str], str | None],
    warn: Callable[[str, str], None],
) -> Sequence[LoraRef]:
    """The LoRAs of a request in the syntax of Fooocus: those asked for, then those of tags that are none of them.

    Args:
        found_as: the LoRA that a name means; None if there is none.
        warn: told of `lora_missing` and `lora_unused`.
    """
    loras = list(asked)
    chosen = {found_as(ref.name) for ref in asked}
    for ref in tagged:
        found = found_as(ref.name)
        if found is None:
            warn("lora_missing", f"prompt: there is no lora {ref.name[:80]!r}; it is left out")
        elif found in chosen:
            warn("lora_unused", f"prompt: the lora {found!r} is chosen already; the one in the prompt is left out")
        elif len(loras) >= MAX_FOOOCUS_LORAS:
            warn("lora_unused", f"prompt: {MAX_FOOOCUS_LORAS} loras are chosen already; {found!r} is left out")
        else:
            chosen.add(found)
            loras.append(ref)
    return loras
