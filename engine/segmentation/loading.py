"""Which network each model of `segment` is, and how it is read from its file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import torch

from engine.interface import EngineError
from engine.segmentation import sam2_weights
from engine.segmentation.hq_sam import HqMaskDecoder, HqSam
from engine.segmentation.sam import MobileSam, Sam
from engine.segmentation.segmenter import Segmenter
from engine.segmentation.vit import VIT_B, VIT_H, VIT_L, VitEncoder, VitSize
from protocol.errors import ErrorCode
from protocol.segmenting import SegmentModel

_Make: TypeAlias = Callable[[Path, str], Segmenter]
_CLASSIFIER: Final = ("image_encoder.norm_head.", "image_encoder.head.")
"""Left in the published file of MobileSAM from training; segmentation has no use for it."""
_PIXELS: Final = ("pixel_mean", "pixel_std")
"""Constants, in some copies of the files."""


def load_segmenter(model: SegmentModel, path: Path, device: str) -> Segmenter:
    """Read a model's file and put the network on `device`, in single precision, for inference.

    Args:
        path: as published; for SAM 2 also the `model.safetensors` of a folder of the Hugging Face hub.

    Raises:
        EngineError: `bad_model`, with the names of model and file: it holds another network, or not all of this one,
            or cannot be read without running code.
    """
    try:
        return _MAKERS[model](path, device)
    except EngineError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError, OSError) as error:
        reason = str(error).strip().partition("\n")[2].partition("\n")[0].strip() or str(error)
        message = f"the model {model.value!r} cannot be used: {path.name} does not hold its weights ({reason:.200})"
        raise EngineError(ErrorCode.BAD_MODEL, message) from error


def fill(network: Sam, path: Path, device: str) -> Sam:
    """Give an empty network the weights of a file, and make it ready.

    Args:
        network: on the `meta` device but for its buffers; see `hollow`.

    Raises:
        KeyError, ValueError, RuntimeError: the file holds other parameters.
    """
    state = {name: value for name, value in _read(path).items() if not name.startswith((*_CLASSIFIER, *_PIXELS))}
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval().to(device, torch.float32)


def hollow(make: Callable[[], Sam]) -> Sam:
    """A network without weights, which takes no memory and no time."""
    from accelerate import init_empty_weights

    with init_empty_weights(include_buffers=False):
        return make()


def make_vit(size: VitSize) -> Sam:
    """Segment Anything with an encoder of that size."""
    return Sam(VitEncoder(size))


def make_hq(size: VitSize) -> HqSam:
    """HQ-SAM with an encoder of that size."""
    return HqSam(VitEncoder(size), HqMaskDecoder(vit_width=size.width))


def _mobile(path: Path, device: str) -> Segmenter:
    network = fill(hollow(MobileSam), path, device)
    assert isinstance(network, MobileSam)
    network.settle()
    return network


def _vit(size: VitSize) -> _Make:
    return lambda path, device: fill(hollow(lambda: make_vit(size)), path, device)


def _hq(size: VitSize) -> _Make:
    return lambda path, device: fill(hollow(lambda: make_hq(size)), path, device)


def _sam2(size: sam2_weights.HieraSize) -> _Make:
    def load(path: Path, device: str) -> Segmenter:
        if path.suffix == ".safetensors":
            return sam2_weights.load_folder(path.parent, device)
        return sam2_weights.load_original(_read(path), size, device)

    return load


def _read(path: Path) -> Mapping[str, Any]:
    """What `torch.save` wrote, if it is a mapping of weights and mappings alone.

    Raises:
        ValueError: it is not, or would run code.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError("it holds no weights that can be read") from error
    if not isinstance(content, Mapping):
        raise ValueError("expected weights by name")
    return content


_MAKERS: Final[Mapping[SegmentModel, _Make]] = {
    SegmentModel.MOBILE_SAM: _mobile,
    SegmentModel.SAM_VIT_B: _vit(VIT_B),
    SegmentModel.SAM_VIT_L: _vit(VIT_L),
    SegmentModel.SAM_VIT_H: _vit(VIT_H),
    SegmentModel.SAM_HQ_VIT_B: _hq(VIT_B),
    SegmentModel.SAM_HQ_VIT_L: _hq(VIT_L),
    SegmentModel.SAM_HQ_VIT_H: _hq(VIT_H),
    SegmentModel.SAM2_TINY: _sam2(sam2_weights.TINY),
    SegmentModel.SAM2_SMALL: _sam2(sam2_weights.SMALL),
    SegmentModel.SAM2_BASE: _sam2(sam2_weights.BASE),
    SegmentModel.SAM2_LARGE: _sam2(sam2_weights.LARGE),
    SegmentModel.SAM2_1_TINY: _sam2(sam2_weights.TINY),
    SegmentModel.SAM2_1_SMALL: _sam2(sam2_weights.SMALL),
    SegmentModel.SAM2_1_BASE: _sam2(sam2_weights.BASE),
    SegmentModel.SAM2_1_LARGE: _sam2(sam2_weights.LARGE),
}
