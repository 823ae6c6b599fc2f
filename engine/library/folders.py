"""What a folder in diffusers' form holds, from its configurations.

    file at the top            what decides
    -------------------------  -------------------------------------------------------------------------------
    `model_index.json`         a checkpoint. Its `_class_name` names the pipeline; `unet/config.json` the rest:
                               `in_channels` 9 is inpainting, 8 changing pictures by instructions;
                               `cross_attention_dim` 1024, or linear projections and not 768, is SD 2. SDXL without
                               its first text encoder is the refiner. SD 1 for inpainting whose tokenizer has
                               PowerPaint's words is that. Other pipelines than SD 1, 2, 3, SDXL, Flux and
                               Paint by Example: `other`
    `config.json`              one part of a pipeline, by `_class_name` or `architectures`: a VAE (for SDXL if
                               `scaling_factor` is 0.13025), a ControlNet, a BrushNet, an image encoder. Others are
                               passed by

A folder is whole if every part that its index names is there, and its weights with all their shards. What holds the
weights is chosen as the loader chooses it: safetensors before pickles, the full form before `fp16` and others.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.library import families
from engine.library.headers import BadHeader, read_header
from engine.library.records import Family, ModelKind, Prediction, Sniffed
from engine.library.task_words import has_task_words

INDEX: Final = "model_index.json"
CONFIG: Final = "config.json"
_MAX_CONFIG_BYTES: Final = 4 * 1024 * 1024
_WEIGHTS: Final = (".safetensors", ".bin")
_SHARD: Final = re.compile(r"-\d{5}-of-\d{5}")
_NEEDLESS: Final = frozenset({"safety_checker"})
_WITHOUT_WEIGHTS: Final = (
    *("Tokenizer", "TokenizerFast", "Scheduler"),
    *("Processor", "ImageProcessorFast", "ImageProcessorPil", "Extractor"),
)
_DENOISERS: Final = ("transformer", "unet")
_PIPELINES: Final[Mapping[str, Family]] = {
    "StableDiffusionPipeline": Family.SD1,
    "StableDiffusionImg2ImgPipeline": Family.SD1,
    "StableDiffusionInpaintPipeline": Family.SD1,
    "StableDiffusionControlNetPipeline": Family.SD1,
    "StableDiffusionInstructPix2PixPipeline": Family.SD1,
    "PaintByExamplePipeline": Family.PAINT_BY_EXAMPLE,
    "StableDiffusionXLPipeline": Family.SDXL,
    "StableDiffusionXLImg2ImgPipeline": Family.SDXL,
    "StableDiffusionXLInpaintPipeline": Family.SDXL,
    "StableDiffusionXLControlNetPipeline": Family.SDXL,
    "StableDiffusion3Pipeline": Family.SD3,
    "StableDiffusion3Img2ImgPipeline": Family.SD3,
    "StableDiffusion3InpaintPipeline": Family.SD3,
    "FluxPipeline": Family.FLUX,
    "FluxImg2ImgPipeline": Family.FLUX,
    "FluxInpaintPipeline": Family.FLUX,
}
"""Pipeline class -> family, before the UNet's configuration says more."""
_HALVES: Final = re.compile(r"Kandinsky(?:V22)?(?:Prior|Img2Img|Inpaint|Controlnet)?(?:Emb2Emb|Img2Img)?Pipeline")
"""Of Kandinsky 2.1 and 2.2: one folder makes of words what the other makes pictures of."""
_PARTS: Final[Mapping[str, ModelKind]] = {
    "AutoencoderKL": ModelKind.VAE,
    "AutoencoderTiny": ModelKind.VAE,
    "ControlNetModel": ModelKind.CONTROLNET,
    "ControlNetUnionModel": ModelKind.CONTROLNET,
    "BrushNetModel": ModelKind.BRUSHNET,
    "CLIPVisionModelWithProjection": ModelKind.IMAGE_ENCODER,
}
_SDXL_SCALING: Final = 0.13025
_SD1_CONTEXT: Final = 768

Config = Mapping[str, object]


class BadFolder(Exception):
    """A folder that no loader would take; the message says why, without the path."""


@dataclass(frozen=True, slots=True)
class FolderLook:
    """What a folder holds.

    Attributes:
        weights: the files a loader would read.
    """

    sniffed: Sniffed
    weights: Sequence[Path]

    @property
    def is_pickle(self) -> bool:
        return any(path.suffix != ".safetensors" for path in self.weights)


def look_into(folder: Path) -> FolderLook | None:
    """What the folder holds; None if it is a part of a pipeline that is no model of its own.

    Call it where `model_index.json` or `config.json` lies. Never raises for what it finds: that is the problem then.

    Raises:
        OSError: it cannot be read.
    """
    is_pipeline = (folder / INDEX).is_file()
    try:
        config = _read(folder / (INDEX if is_pipeline else CONFIG))
    except BadFolder as error:
        return FolderLook(Sniffed(kind=ModelKind.CHECKPOINT, problem=str(error)), ()) if is_pipeline else None
    if is_pipeline:
        return _pipeline(folder, config)
    return _part(folder, config)


def denoiser_weights(folder: Path) -> Sequence[Path]:
    """The files with the denoiser's weights, in order; of a single part, that part's.

    Raises:
        BadFolder: there are none.
    """
    part = next((folder / name for name in _DENOISERS if (folder / name).is_dir()), folder)
    return _weights_of(part)


def _pipeline(folder: Path, index: Config) -> FolderLook:
    weights: list[Path] = []
    family, prediction, problem = Family.UNKNOWN, None, None
    try:
        family = _family(folder, index)
        prediction = _prediction(folder)
        for name, class_name in _parts(index):
            part = folder / name
            if not part.is_dir():
                raise BadFolder(f"its part {name!r} is missing")
            if not class_name.endswith(_WITHOUT_WEIGHTS):
                weights += _weights_of(part)
        _check(weights)
    except BadFolder as error:
        problem = str(error)
    sniffed = Sniffed(kind=ModelKind.CHECKPOINT, family=family, problem=problem, prediction=prediction)
    return FolderLook(sniffed, tuple(weights))


def _part(folder: Path, config: Config) -> FolderLook | None:
    named = config.get("_class_name", config.get("architectures"))
    if isinstance(named, list) and named:
        named = named[0]
    kind = _PARTS.get(named) if isinstance(named, str) else None
    if kind is None:
        return None
    family = Family.OTHER
    if kind is ModelKind.VAE:
        family = Family.SDXL if config.get("scaling_factor") == _SDXL_SCALING else Family.UNKNOWN
    elif kind in (ModelKind.CONTROLNET, ModelKind.BRUSHNET):
        is_wide = config.get("addition_embed_type") == "text_time"
        family = Family.SDXL if is_wide else _sd1_or_2(config)
    try:
        weights, problem = _weights_of(folder), None
        _check(weights)
    except BadFolder as error:
        weights, problem = (), str(error)
    return FolderLook(Sniffed(kind=kind, family=family, problem=problem), weights)


def _family(folder: Path, index: Config) -> Family:
    class_name = index.get("_class_name")
    if not isinstance(class_name, str):
        raise BadFolder(f"its {INDEX} names no pipeline")
    if _HALVES.fullmatch(class_name):
        raise BadFolder("it is half of a Kandinsky model, whose halves are not put together here")
    family = _PIPELINES.get(class_name, Family.OTHER)
    if family not in {Family.SD1, Family.SDXL}:
        return family
    unet = _read(folder / "unet" / CONFIG)
    if family is Family.SD1:
        family = _sd1_or_2(unet)
    elif not _is_present(index.get("text_encoder")):
        return Family.SDXL_REFINER
    family = families.with_inputs(family, unet.get("in_channels"))
    if family is Family.SD1_INPAINT and has_task_words(folder / "tokenizer"):
        return Family.POWERPAINT
    return family


def _sd1_or_2(unet: Config) -> Family:
    told = unet.get("cross_attention_dim")
    width = told if isinstance(told, int) else None
    family = families.of_context(width)
    if family in {Family.SD1, Family.SD2}:
        return family
    is_linear = unet.get("use_linear_projection") is True and width != _SD1_CONTEXT
    return Family.SD2 if is_linear else Family.SD1


def _prediction(folder: Path) -> Prediction | None:
    path = folder / "scheduler" / "scheduler_config.json"
    if not path.is_file():
        return None
    told = _read(path).get("prediction_type")
    return Prediction(told) if isinstance(told, str) and told in set(Prediction) else None


def _parts(index: Config) -> Iterator[tuple[str, str]]:
    for name, value in index.items():
        if name.startswith("_") or name in _NEEDLESS or not _is_present(value):
            continue
        if Path(name).name != name:
            raise BadFolder(f"its {INDEX} names a part outside of it")
        assert isinstance(value, list)
        yield name, str(value[1])


def _is_present(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[1], str)  # [library, class]


def _weights_of(part: Path) -> Sequence[Path]:
    for extension in _WEIGHTS:
        for path in sorted(part.glob(f"*{extension}.index*.json"), key=_plainness):
            return _shards(part, path)
        found = sorted((path for path in part.glob(f"*{extension}") if not _SHARD.search(path.name)), key=_plainness)
        if found:
            if not found[0].is_file():
                raise BadFolder(f"the weights of its part {part.name!r} are not there: a link leads nowhere")
            return (found[0],)
    raise BadFolder(f"its part {part.name!r} has no weights")


def _plainness(path: Path) -> tuple[int, str]:
    # `model.safetensors` before `model.fp16.safetensors` before `model.non_ema.safetensors`.
    variant = path.name.split(".")[1:-1]
    return (len(variant) + ("non_ema" in variant), path.name)


def _shards(part: Path, index: Path) -> Sequence[Path]:
    places = _read(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise BadFolder(f"the index of the weights of {part.name!r} is damaged")
    names = sorted({str(name) for name in places.values()})
    for name in names:
        if Path(name).name != name or not (part / name).is_file():
            raise BadFolder(f"a piece of the weights of {part.name!r} is missing")
    return tuple(part / name for name in names)


def _check(weights: Sequence[Path]) -> None:
    for path in weights:
        if path.suffix == ".safetensors":
            try:
                read_header(path)
            except BadHeader as error:
                raise BadFolder(f"{path.parent.name}/{path.name}: {error}") from None


def _read(path: Path) -> Config:
    if not path.is_file():  # a pipe would be waited for
        raise BadFolder(f"{path.parent.name}/{path.name} is missing")
    with path.open("rb") as file:
        text = file.read(_MAX_CONFIG_BYTES + 1)
    if len(text) > _MAX_CONFIG_BYTES:
        raise BadFolder(f"{path.name} is too large for a configuration")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        raise BadFolder(f"{path.name} is not JSON") from None
    if not isinstance(parsed, dict):
        raise BadFolder(f"{path.name} is not a JSON object")
    return parsed
