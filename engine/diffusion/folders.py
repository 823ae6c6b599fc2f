"""Models saved as diffusers folders: `model_index.json` and one folder per component."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from engine.diffusion.vaes import share_vae, vae_dtype
from engine.diffusion.weights import check_complete, settle
from engine.library.records import STABLE_1, Family, FoundModel, ModelKind

INDEX: Final = "model_index.json"
_LIBRARIES: Final = ("diffusers", "transformers")
_LEFT_OUT: Final = ("safety_checker",)
_LEFT_OUT_OF_STABLE_DIFFUSION: Final = ("feature_extractor",)
"""Only the safety checker uses it; an IP-Adapter brings its own."""
_WEIGHTS: Final = re.compile(
    r"^(?:diffusion_pytorch_model|pytorch_model|model)(?:\.(?P<variant>[\w-]+?))?(?P<shard>-\d+-of-\d+)?\.(?P<kind>safetensors|bin)$"
)


@dataclass(frozen=True, slots=True)
class Part:
    """One line of `model_index.json`: a component, and the class that reads it."""

    name: str
    library: str
    class_name: str


@dataclass(frozen=True, slots=True)
class Index:
    """`model_index.json`.

    Attributes:
        absent: components the model was saved without.
        settings: what the pipeline's class takes beside components.
    """

    pipeline_class: str
    parts: tuple[Part, ...]
    absent: tuple[str, ...]
    settings: Mapping[str, Any]


def read_index(folder: Path, family: Family) -> Index:
    """What a diffusers folder says it holds; no weights are read.

    Raises:
        OSError, ValueError: it cannot be read, or asks for code that is not diffusers' or transformers' own.
    """
    lines = read_json(folder / INDEX)
    pipeline_class = lines.get("_class_name")
    if not isinstance(pipeline_class, str):
        # A pair of a module and a class: code that lies in the folder.
        raise ValueError("it names a pipeline of its own, and that code would have to be run")
    is_stable_diffusion = family not in (Family.OTHER, Family.FLUX, Family.SD3)
    left_out = _LEFT_OUT + (_LEFT_OUT_OF_STABLE_DIFFUSION if is_stable_diffusion else ())
    parts, absent, settings = [], [], {}
    for name, value in lines.items():
        if name.startswith("_"):
            continue
        if not (isinstance(value, list) and len(value) == 2):
            settings[name] = value
        elif value[0] is None or name in left_out:
            absent.append(name)
        elif all(isinstance(word, str) and word.isidentifier() for word in value):
            parts.append(Part(name, *value))
        else:
            raise ValueError(f"{INDEX}: {name}: expected a library and a class, got {value!r:.80}")
    if not parts:
        raise ValueError(f"{INDEX} names no components")
    return Index(pipeline_class, tuple(parts), tuple(absent), settings)


def load_part(folder: Path, part: Part, dtype: torch.dtype, device: torch.device) -> Any:
    """Load one component onto the device. For the executor thread: the libraries change global state meanwhile.

    Raises:
        READ_ERRORS: its files are missing, corrupt or incomplete.
    """
    found = class_of(part)
    place = folder / part.name
    if not issubclass(found, nn.Module):
        # A tokenizer made of nothing is not refused by its class: it knows no words, and every prompt is the same.
        vocabularies = getattr(found, "vocab_files_names", {}).values()
        if vocabularies and not any((place / file).is_file() for file in vocabularies):
            raise ValueError(f"its {part.name} has none of {', '.join(sorted(vocabularies))}")
        return found.from_pretrained(folder, subfolder=part.name, local_files_only=True)
    if part.name == "vae":
        dtype = vae_dtype(read_json(place / "config.json"), dtype)
    return load_module(found, place, dtype, device, part=part.name)


def load_module(found: Any, place: Path, dtype: torch.dtype, device: torch.device, *, part: str) -> Any:
    """Load a module with weights from a folder of its own onto the device. For the executor thread.

    Args:
        found: its class, of diffusers or transformers.
        part: what it is called in errors.

    Raises:
        READ_ERRORS: its files are missing, corrupt or incomplete.
    """
    module, told = found.from_pretrained(
        place, dtype=dtype, local_files_only=True, output_loading_info=True, **_weights_of(place)
    )
    check_complete(part, sorted(told["missing_keys"]))
    settle(module, part)
    if part == "vae":
        share_vae(module)
    return module.to(device)


def scheduler_config(folder: Path, family: Family) -> dict[str, Any]:
    """The configuration of the scheduler a folder was saved with, with its `_class_name`.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    config = read_json(folder / "scheduler" / "scheduler_config.json")
    if family in (*STABLE_1, Family.SD2, Family.SD2_INPAINT):
        # Folders saved before these were settled; the pipelines would correct them on each use, and complain.
        if "steps_offset" in config:
            config["steps_offset"] = 1
        if "clip_sample" in config:
            config["clip_sample"] = False
    return config


def class_of(part: Part) -> Any:
    """The class that reads a component; a scheduler, tokenizer or module of diffusers or transformers, no other code.

    Raises:
        ValueError: there is no such class.
    """
    import diffusers
    import transformers
    from diffusers import pipelines

    libraries = {"diffusers": diffusers, "transformers": transformers}
    home = libraries.get(part.library) or getattr(pipelines, part.library, None)
    found = getattr(home, part.class_name, None)
    is_class = isinstance(found, type) and hasattr(found, "from_pretrained")
    # Those that choose another class by the folder's word may choose code that lies in it.
    if not is_class or found.__module__.startswith("transformers.models.auto."):
        raise ValueError(f"its {part.name} is a {part.library}.{part.class_name}, which is not known here")
    return found


def weight_files(found: FoundModel) -> list[Path]:
    """The files of weights that loading a model reads, of all that lie beside each other; none if that is untold.

    Of a single file that is the file; of a folder, what its loader chooses for each component the index names, or, if
    it has no index, for the folder itself.
    """
    if not found.is_folder:
        return [found.path]
    if not (found.path / INDEX).is_file():
        takes_whole = found.kind is ModelKind.IMAGE_ENCODER
        return _chosen(found.path, takes_whole=takes_whole)
    try:
        index = read_index(found.path, found.family)
    except (OSError, ValueError):
        return []  # loading it says what is wrong
    return [
        file
        for part in index.parts
        for file in _chosen(found.path / part.name, takes_whole=part.library == "transformers")
    ]


def weights_in(place: Path) -> list[Path]:
    """The weight files of one component of diffusers that loading it reads, shards in order."""
    return _chosen(place, takes_whole=False)


def _chosen(place: Path, *, takes_whole: bool) -> list[Path]:
    """The weight files of one component, shards in order.

    Args:
        takes_whole: whether its library takes a whole file where there are shards, too, as transformers does;
            diffusers takes what an index names.
    """
    if not place.is_dir():
        return []
    wanted = _weights_of(place)
    kind = "safetensors" if wanted["use_safetensors"] else "bin"
    whole: list[Path] = []
    shards: list[Path] = []
    for file in _listed(place):
        match = _WEIGHTS.match(file)
        if match is not None and match["kind"] == kind and match["variant"] == wanted["variant"]:
            (whole if match["shard"] is None else shards).append(place / file)
    is_indexed = bool(shards) and any(place.glob(f"*.{kind}.index*.json"))
    return shards if is_indexed and not (whole and takes_whole) else whole


def _weights_of(place: Path) -> dict[str, Any]:
    """Which of the weight files in a component's folder to read: safetensors first, then whole precision first."""
    matches = [match for file in _listed(place) if (match := _WEIGHTS.match(file))]
    kind = "safetensors" if any(match["kind"] == "safetensors" for match in matches) else "bin"
    variants = {match["variant"] for match in matches if match["kind"] == kind}
    variant = None if None in variants or not variants else ("fp16" if "fp16" in variants else min(variants))
    return {"use_safetensors": kind == "safetensors", "variant": variant}


def _listed(place: Path) -> Iterator[str]:
    return (file.name for file in sorted(place.iterdir()))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file, which is called by the last two names of its path in errors.

    Raises:
        OSError, ValueError: it cannot be read, or is no object.
    """
    try:
        read = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{path.parent.name}/{path.name} is not there") from None
    except ValueError:
        raise ValueError(f"{path.parent.name}/{path.name} is no JSON") from None
    if not isinstance(read, dict):
        raise ValueError(f"{path.parent.name}/{path.name} holds no object")
    return read
