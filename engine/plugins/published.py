"""Published models beside the packaged ones: their names, files, checksums and licences.

Those whose checksum is known can be downloaded by a job that needs them; the others are used once their file lies in
the models folder.

Source: the release pages of each project, as IOPaint 1.6.0 and rembg 2 name them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from protocol.models import ModelKind
from protocol.requests import TaskName

_MB: Final = 1_000_000
_REALESRGAN: Final = "https://github.com/xinntao/Real-ESRGAN/releases/download"
_GFPGAN: Final = "https://github.com/TencentARC/GFPGAN/releases/download"
_REMBG: Final = "https://github.com/danielgatis/rembg/releases/download/v0.0.0"
_HUB: Final = "https://huggingface.co"
_GENERATING: Final = (
    TaskName.TEXT_TO_IMAGE,
    TaskName.IMAGE_TO_IMAGE,
    TaskName.INPAINT,
    TaskName.OUTPAINT,
    TaskName.ENHANCE,
)
_SAM: Final = "https://dl.fbaipublicfiles.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginModel:
    """One published model.

    Attributes:
        name: unique among all models; what lists show.
        files: of which one is needed, the best first: a name, or a path of several parts below a folder.
        url: of the first of them.
        md5: 32 hexadecimal digits of that file, where they are known; `""` where they are not.
        size_bytes: about.
        licence: of the weights.
        is_commercial: whether it allows commercial use.
        repository: on the Hugging Face hub, if a hub's cache may hold the file.
    """

    name: str
    title: str
    tasks: tuple[TaskName, ...]
    files: tuple[str, ...]
    url: str
    md5: str
    size_bytes: int
    licence: str
    is_commercial: bool = True
    repository: str | None = None

    @property
    def kind(self) -> ModelKind | None:
        """As lists have it: upscalers are a kind of their own."""
        return ModelKind.UPSCALER if TaskName.UPSCALE in self.tasks else None

    @property
    def id(self) -> str:
        """As events have it."""
        return self.name if self.kind is None else f"{self.kind}:{self.name}"


def _upscaler(name: str, tag: str, md5: str, size_mb: int) -> PluginModel:
    return PluginModel(
        name=name,
        title=f"Real-ESRGAN {name}",
        tasks=(TaskName.UPSCALE,),
        files=(f"{name}.pth",),
        url=f"{_REALESRGAN}/{tag}/{name}.pth",
        md5=md5,
        size_bytes=size_mb * _MB,
        licence="BSD-3-Clause",
    )


def _restorer(name: str, tag: str, md5: str, size_mb: int, licence: str) -> PluginModel:
    return PluginModel(
        name=name,
        title=name,
        tasks=(TaskName.RESTORE_FACE,),
        files=(f"{name}.pth",),
        url=f"{_GFPGAN}/{tag}/{name}.pth",
        md5=md5,
        size_bytes=size_mb * _MB,
        licence=licence,
    )


def _background(name: str, published: str, md5: str, size_mb: int, licence: str) -> PluginModel:
    return PluginModel(
        name=name,
        title=f"{name}, as rembg has it",
        tasks=(TaskName.REMOVE_BACKGROUND,),
        files=(f"{name}.onnx",),
        url=f"{_REMBG}/{published}",
        md5=md5,
        size_bytes=size_mb * _MB,
        licence=licence,
    )


def _segmenter(
    name: str, title: str, files: tuple[str, ...], url: str, md5: str, size_mb: int, *, hub: str | None = None
) -> PluginModel:
    return PluginModel(
        name=name,
        title=title,
        tasks=(TaskName.SEGMENT,),
        files=files,
        url=url,
        md5=md5,
        size_bytes=size_mb * _MB,
        licence="Apache-2.0",
        repository=hub,
    )


def _sam(size: str, published: str, md5: str, size_mb: int) -> PluginModel:
    file = f"sam_vit_{size}_{published}.pth"
    title = f"Segment Anything, ViT-{size.upper()}"
    return _segmenter(f"sam_vit_{size}", title, (file,), f"{_SAM}/segment_anything/{file}", md5, size_mb)


def _sam_hq(size: str, md5: str, size_mb: int) -> PluginModel:
    name, hub = f"sam_hq_vit_{size}", "lkeab/hq-sam"
    file = f"{name}.pth"
    files, url = (file, f"hq-sam/{file}"), f"{_HUB}/{hub}/resolve/main/{file}"
    return _segmenter(name, f"HQ-SAM, ViT-{size.upper()}", files, url, md5, size_mb, hub=hub)


def _sam2(name: str, size: str, md5: str, size_mb: int, *, version: str = "2", day: str = "072824") -> PluginModel:
    file = f"sam{version}_hiera_{size}.pt"
    folder = f"sam{version}-hiera-{size.replace('_', '-')}"
    files = (file, f"{folder}/{file}", f"{folder}/model.safetensors")
    url = f"{_SAM}/segment_anything_2/{day}/{file}"
    title = f"SAM {version}, {size.replace('_', ' ')}"
    return _segmenter(name, title, files, url, md5, size_mb, hub=f"facebook/{folder}")


def _sam2_1(name: str, size: str, md5: str, size_mb: int) -> PluginModel:
    return _sam2(name, size, md5, size_mb, version="2.1", day="092824")


def _depth(name: str, size_mb: int) -> PluginModel:
    return PluginModel(
        name=name,
        title=f"{name}: how near what a picture shows is",
        tasks=_GENERATING,
        files=(f"{name}/model.safetensors", f"{name}/pytorch_model.bin"),
        url=f"{_HUB}/Intel/{name}/resolve/main/model.safetensors",
        md5="",
        size_bytes=size_mb * _MB,
        licence="Apache-2.0",
        repository=f"Intel/{name}",
    )


def _birefnet(name: str, published: str, md5: str, size_mb: int = 973) -> PluginModel:
    return _background(name, published, md5, size_mb, "MIT")


_MODELS: Final = (
    _upscaler("realesr-general-x4v3", "v0.2.5.0", "91a7644643c884ee00737db24e478156", 5),
    _upscaler("RealESRGAN_x4plus", "v0.1.0", "99ec365d4afad750833258a1a24f44ca", 67),
    _upscaler("RealESRGAN_x4plus_anime_6B", "v0.2.2.4", "d58ce384064ec1591c2ea7b79dbf47ba", 18),
    _restorer("GFPGANv1.4", "v1.3.0", "94d735072630ab734561130a47bc44f8", 349, "Apache-2.0"),
    _restorer("RestoreFormer", "v1.3.4", "eaeeff6c4a1caa1673977cb374e6f699", 291, "Apache-2.0"),
    PluginModel(
        name="isnetis",
        title="IS-Net for drawn characters",
        tasks=(TaskName.REMOVE_BACKGROUND,),
        files=("isnetis.pth",),
        url="https://github.com/Sanster/models/releases/download/isnetis/isnetis.pth",
        md5="5f25479076b73074730ab8de9e8f2051",
        size_bytes=176 * _MB,
        licence="Apache-2.0",
    ),
    PluginModel(
        name="rmbg-1.4",
        title="BRIA RMBG 1.4",
        tasks=(TaskName.REMOVE_BACKGROUND,),
        files=("RMBG-1.4/model.pth", "RMBG-1.4.pth", "RMBG-1.4/onnx/model.onnx", "RMBG-1.4.onnx"),
        url=f"{_HUB}/briaai/RMBG-1.4/resolve/main/model.pth",
        md5="",
        size_bytes=176 * _MB,
        licence="bria-rmbg-1.4, for non-commercial use",
        is_commercial=False,
        repository="briaai/RMBG-1.4",
    ),
    PluginModel(
        name="rmbg-2.0",
        title="BRIA RMBG 2.0",
        tasks=(TaskName.REMOVE_BACKGROUND,),
        files=("RMBG-2.0/onnx/model.onnx", "RMBG-2.0.onnx", "bria-rmbg-2.0.onnx"),
        url=f"{_HUB}/briaai/RMBG-2.0/resolve/main/onnx/model.onnx",
        md5="",
        size_bytes=1_024 * _MB,
        licence="CC-BY-NC-4.0",
        is_commercial=False,
        repository="briaai/RMBG-2.0",
    ),
    _background("u2net_human_seg", "u2net_human_seg.onnx", "c09ddc2e0104f800e3e1bb4652583d1f", 176, "Apache-2.0"),
    _background("u2net_cloth_seg", "u2net_cloth_seg.onnx", "2434d1f3cb744e0e49386c906e5a08bb", 176, "MIT"),
    _background("silueta", "silueta.onnx", "55e59e0d8062d2f5d013f4725ee84782", 44, "Apache-2.0"),
    _background("isnet-general-use", "isnet-general-use.onnx", "fc16ebd8b0c10d971d3513d564d01e29", 179, "Apache-2.0"),
    _birefnet("birefnet-general", "BiRefNet-general-epoch_244.onnx", "7a35a0141cbbc80de11d9c9a28f52697"),
    _birefnet(
        "birefnet-general-lite",
        "BiRefNet-general-bb_swin_v1_tiny-epoch_232.onnx",
        "4fab47adc4ff364be1713e97b7e66334",
        224,
    ),
    _birefnet("birefnet-portrait", "BiRefNet-portrait-epoch_150.onnx", "c3a64a6abf20250d090cd055f12a3b67"),
    _birefnet("birefnet-dis", "BiRefNet-DIS-epoch_590.onnx", "2d4d44102b446f33a4ebb2e56c051f2b"),
    _birefnet("birefnet-hrsod", "BiRefNet-HRSOD_DHU-epoch_115.onnx", "c017ade5de8a50ff0fd74d790d268dda"),
    _birefnet("birefnet-cod", "BiRefNet-COD-epoch_125.onnx", "f6d0d21ca89d287f17e7afe9f5fd3b45"),
    _birefnet(
        "birefnet-massive", "BiRefNet-massive-TR_DIS5K_TR_TEs-epoch_420.onnx", "33e726a2136a3d59eb0fdf613e31e3e9"
    ),
    PluginModel(
        name="stable-diffusion-safety-checker",
        title="Safety checker of Stable Diffusion",
        tasks=_GENERATING,
        files=(
            "stable-diffusion-safety-checker/model.safetensors",
            "stable-diffusion-safety-checker/pytorch_model.bin",
            "stable-diffusion-safety-checker.bin",
        ),
        url=f"{_HUB}/CompVis/stable-diffusion-safety-checker/resolve/main/model.safetensors",
        md5="",
        size_bytes=1_216 * _MB,
        licence="CreativeML OpenRAIL-M",
        repository="CompVis/stable-diffusion-safety-checker",
    ),
    _depth("dpt-hybrid-midas", 490),
    _depth("dpt-large", 1_368),
    PluginModel(
        name="body_pose_model",
        title="OpenPose, bodies",
        tasks=_GENERATING,
        files=("body_pose_model.pth", "Annotators/body_pose_model.pth"),
        url=f"{_HUB}/lllyasviel/Annotators/resolve/main/body_pose_model.pth",
        md5="",
        size_bytes=209 * _MB,
        licence="OpenPose, for non-commercial research",
        is_commercial=False,
        repository="lllyasviel/Annotators",
    ),
    PluginModel(
        name="blip-image-captioning-base",
        title="BLIP, base, for captions",
        tasks=(TaskName.DESCRIBE,),
        files=(
            "blip-image-captioning-base/model.safetensors",
            "blip-image-captioning-base/pytorch_model.bin",
        ),
        url=f"{_HUB}/Salesforce/blip-image-captioning-base/resolve/main/model.safetensors",
        md5="",
        size_bytes=990 * _MB,
        licence="BSD-3-Clause",
        repository="Salesforce/blip-image-captioning-base",
    ),
    PluginModel(
        name="wd-v1-4-moat-tagger-v2",
        title="WD 1.4 MOAT tagger, second version",
        tasks=(TaskName.DESCRIBE,),
        files=("wd-v1-4-moat-tagger-v2.onnx", "wd-v1-4-moat-tagger-v2/model.onnx"),
        url=f"{_HUB}/SmilingWolf/wd-v1-4-moat-tagger-v2/resolve/main/model.onnx",
        md5="",
        size_bytes=326 * _MB,
        licence="Apache-2.0",
        repository="SmilingWolf/wd-v1-4-moat-tagger-v2",
    ),
    PluginModel(
        name="grounding-dino-tiny",
        title="Grounding DINO, tiny: finds what words name",
        tasks=(TaskName.SEGMENT, *_GENERATING),
        files=("grounding-dino-tiny/model.safetensors", "grounding-dino-tiny/pytorch_model.bin"),
        url=f"{_HUB}/IDEA-Research/grounding-dino-tiny/resolve/main/model.safetensors",
        md5="",
        size_bytes=690 * _MB,
        licence="Apache-2.0",
        repository="IDEA-Research/grounding-dino-tiny",
    ),
    _sam("b", "01ec64", "01ec64d29a2fca3f0661936605ae66f8", 375),
    _sam("l", "0b3195", "0b3195507c641ddb6910d2bb5adee89c", 1_250),
    _sam("h", "4b8939", "4b8939a88964f0f4ff5f5b2642c598a6", 2_565),
    _sam_hq("b", "c6b8953247bcfdc8bb8ef91e36a6cacc", 379),
    _sam_hq("l", "08947267966e4264fb39523eccc33f86", 1_254),
    _sam_hq("h", "3560f6b6a5a6edacd814a1325c39640a", 2_570),
    _sam2("sam2_tiny", "tiny", "99eacccce4ada0b35153d4fd7af05297", 156),
    _sam2("sam2_small", "small", "7f320dbeb497330a2472da5a16c7324d", 184),
    _sam2("sam2_base", "base_plus", "09dc5a3d7719f64aaea1d37341ef26f2", 324),
    _sam2("sam2_large", "large", "08083462423be3260cd6a5eef94dc01c", 898),
    _sam2_1("sam2_1_tiny", "tiny", "6aa6761c9da74fbaa74b4c790a0a2007", 156),
    _sam2_1("sam2_1_small", "small", "51713b3d1994696d27f35f9c6de6f5ef", 184),
    _sam2_1("sam2_1_base", "base_plus", "ec7bd7d23d280d5e3cfa45984c02eda5", 324),
    _sam2_1("sam2_1_large", "large", "2b30654b6112c42a115563c638d238d9", 898),
)

PLUGIN_MODELS: Final[Mapping[str, PluginModel]] = {model.name: model for model in _MODELS}
"""Name -> model, in the order they are listed."""
