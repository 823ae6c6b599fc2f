"""Networks of transformers that know words: a folder with the weights, their configuration and a tokenizer."""

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from safetensors import SafetensorError

from engine.diffusion.quiet import quieten
from engine.interface import EngineError
from protocol.errors import ErrorCode

_CONFIG: Final = "config.json"
_WORDS: Final = ("tokenizer.json", "vocab.txt")
_MOST_MISSING: Final = 0.1
"""Share of the weights that a file may leave out: some are made of others."""


class WordedNetwork(NamedTuple):
    """What a folder held; both as transformers makes them."""

    network: Any
    tokenizer: Any


def load_worded_network(
    path: Path, device: str, *, architecture: str, model_type: str, called: str, **options: object
) -> WordedNetwork:
    """Read the folder that a file of weights lies in, for inference in float32.

    Args:
        architecture: the class of transformers.
        model_type: what the configuration has to be of.
        called: the network's name, for people.
        options: for `from_pretrained`.

    Raises:
        EngineError: `bad_model`: something of it is missing, or is another's.
    """
    quieten()
    import transformers

    folder = path.parent
    try:
        # Without them the library makes a tokenizer that knows no words.
        if not any((folder / file).is_file() for file in _WORDS):
            raise OSError(f"expected one of {', '.join(_WORDS)}")
        kind = json.loads((folder / _CONFIG).read_text("utf-8")).get("model_type")
        if kind != model_type:
            raise ValueError(f"{_CONFIG} is of {kind!r:.40}")
        loaded: Any = getattr(transformers, architecture).from_pretrained(
            folder,
            local_files_only=True,
            output_loading_info=True,
            dtype=torch.float32,
            use_safetensors=path.suffix == ".safetensors",
            **options,
        )
        network, told = loaded
        missing = told["missing_keys"]
        if len(missing) > _MOST_MISSING * len(network.state_dict()):
            raise ValueError(f"{len(missing)} weights are not in {path.name}")
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0].replace(str(folder), folder.name)
        message = f"the model {folder.name!r} cannot be used: its folder is not whole, or not of {called}"
        raise EngineError(ErrorCode.BAD_MODEL, f"{message} ({reason:.200})") from error
    return WordedNetwork(network.requires_grad_(False).eval().to(device), tokenizer)
