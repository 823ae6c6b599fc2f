"""The weight files of the erase models as their authors, or IOPaint, publish them: addresses, checksums, licences.

Sizes are estimates: those of `lama`, `mat` and `fcf` are counted from the networks, the others are rough.

Source: the source text of IOPaint 1.6.0 for names, addresses and checksums; for each licence the place named with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from protocol.erasing import EraseModel

_RELEASES: Final = "https://github.com/Sanster/models/releases/download"
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """What the weights of a model may be used for.

    Attributes:
        name: an SPDX identifier where there is one, else in words.
        is_commercial: whether commercial use is allowed.
        why: where that is said.
    """

    name: str
    is_commercial: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    """One file of a model, as its authors publish it.

    Attributes:
        name: in the models folder, and at the end of its address.
        url: where it is published.
        md5: 32 hexadecimal digits; what is published has it.
        size_bytes: in memory and, nearly, on disk; an estimate where the true size is not known.
        is_script: TorchScript, which holds code beside its weights. Such a file is opened for its code only if it
            is the published one or the operator trusts it; see `erasers`.
    """

    name: str
    url: str
    md5: str
    size_bytes: int
    is_script: bool = False


TITLES: Final[Mapping[EraseModel, str]] = {
    EraseModel.LAMA: "LaMa: large masks, photographs; the best first choice",
    EraseModel.ANIME_LAMA: "LaMa trained on drawings",
    EraseModel.LDM: "Latent diffusion: many steps, slow",
    EraseModel.ZITS: "ZITS: straight lines first, then texture",
    EraseModel.MAT: "MAT: a transformer for large holes",
    EraseModel.FCF: "FcF: structure and texture at 512 px",
    EraseModel.MANGA: "For black and white comics; paints in grey",
    EraseModel.MIGAN: "MI-GAN: small and fast",
}
"""Of the models with weights."""

LICENCES: Final[Mapping[EraseModel, Licence]] = {
    EraseModel.LAMA: Licence(
        name="Apache-2.0", is_commercial=True, why="advimman/lama; its authors say that the weights are meant, too"
    ),
    EraseModel.ANIME_LAMA: Licence(
        name="unknown", is_commercial=False, why="dreMaz/AnimeMangaInpainting: no licence is known here"
    ),
    EraseModel.LDM: Licence(name="MIT", is_commercial=True, why="CompVis/latent-diffusion"),
    EraseModel.ZITS: Licence(name="Apache-2.0", is_commercial=True, why="DQiaole/ZITS_inpainting"),
    EraseModel.MAT: Licence(
        name="CC-BY-NC-4.0", is_commercial=False, why="fenglinglwb/MAT: code and models for research only"
    ),
    EraseModel.FCF: Licence(
        name="Apache-2.0 with parts under the NVIDIA Source Code License",
        is_commercial=False,
        why="SHI-Labs/FcF-Inpainting is built on stylegan2-ada-pytorch, which is for research and evaluation only",
    ),
    EraseModel.MANGA: Licence(
        name="CUHK licence of MangaInpainting; commercial use after a written notice to its author",
        is_commercial=True,
        why="msxie92/MangaInpainting",
    ),
    EraseModel.MIGAN: Licence(name="MIT", is_commercial=True, why="Picsart-AI-Research/MI-GAN, LICENSE-WEIGHTS"),
}
"""Of the models with weights."""


def _file(tag: str, name: str, md5: str, size_mb: int, *, is_script: bool = True) -> WeightFile:
    return WeightFile(
        name=name, url=f"{_RELEASES}/{tag}/{name}", md5=md5, size_bytes=size_mb * _MB, is_script=is_script
    )


FILES: Final[Mapping[EraseModel, tuple[WeightFile, ...]]] = {
    EraseModel.LAMA: (_file("add_big_lama", "big-lama.pt", "e3aa4aaa15225a33ec84f9f4bc47e500", 204),),
    EraseModel.ANIME_LAMA: (
        _file("AnimeMangaInpainting", "anime-manga-big-lama.pt", "29f284f36a0a510bcacf39ecf4c4d54f", 204),
    ),
    EraseModel.LDM: (
        _file("add_ldm", "cond_stage_model_encode.pt", "23239fc9081956a3e70de56472b3f296", 90),
        _file("add_ldm", "cond_stage_model_decode.pt", "fe419cd15a750d37a4733589d0d3585c", 132),
        _file("add_ldm", "diffusion.pt", "b0afda12bf790c03aba2a7431f11d22d", 1_550),
    ),
    EraseModel.ZITS: (
        _file("add_zits", "zits-wireframe-0717.pt", "a9727c63a8b48b65c905d351b21ce46b", 50),
        _file("add_zits", "zits-edge-line-0717.pt", "55e31af21ba96bbf0c80603c76ea8c5f", 200),
        _file("add_zits", "zits-structure-upsample-0717.pt", "3d88a07211bd41b2ec8cc0d999f29927", 1),
        _file("add_zits", "zits-inpaint-0717.pt", "9978cc7157dc29699e42308d675b2154", 270),
    ),
    EraseModel.MAT: (
        _file("add_mat", "Places_512_FullData_G.pth", "8ca927835fa3f5e21d65ffcb165377ed", 246, is_script=False),
    ),
    EraseModel.FCF: (_file("add_fcf", "places_512_G.pth", "3323152bc01bf1c56fd8aba74435a211", 340, is_script=False),),
    EraseModel.MANGA: (
        _file("manga", "manga_inpaintor.jit", "7d8b269c4613b6b3768af714610da86c", 80),
        _file("manga", "erika.jit", "0c926d5a4af8450b0d00bc5b9a095644", 110),
    ),
    EraseModel.MIGAN: (_file("migan", "migan_traced.pt", "76eb3b1a71c400ee3290524f7a11b89c", 30),),
}
"""Of the models with weights; each in the order its loader wants its files."""

FILE_NAMES: Final = frozenset(file.name for files in FILES.values() for file in files)
"""What IOPaint downloads into torch's hub folder, which other programs share."""

VARIABLES: Final[Mapping[str, str]] = {
    "big-lama.pt": "LAMA",
    "anime-manga-big-lama.pt": "ANIME_LAMA",
    "cond_stage_model_encode.pt": "LDM_ENCODE",
    "cond_stage_model_decode.pt": "LDM_DECODE",
    "diffusion.pt": "LDM_DIFFUSION",
    "zits-wireframe-0717.pt": "ZITS_WIRE_FRAME",
    "zits-edge-line-0717.pt": "ZITS_EDGE_LINE",
    "zits-structure-upsample-0717.pt": "ZITS_STRUCTURE_UPSAMPLE",
    "zits-inpaint-0717.pt": "ZITS_INPAINT",
    "Places_512_FullData_G.pth": "MAT",
    "places_512_G.pth": "FCF",
    "manga_inpaintor.jit": "MANGA_INPAINTOR",
    "erika.jit": "MANGA_LINE",
    "migan_traced.pt": "MIGAN",
}
"""Name of a file -> beginning of IOPaint's environment variables for it: `..._MODEL_URL` and `..._MODEL_MD5`."""


def eraser_id(model: EraseModel) -> str:
    """What events and listings call a model."""
    return f"eraser:{model.value}"
