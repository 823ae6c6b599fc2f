"""What an erase model is: the files it is made of, the pictures it can take, and how it is loaded and asked.

    EraseModelSpec  --load(paths, device, dtype)-->  EraseNetwork  --(image, mask, options)-->  calls, then a picture

A spec is known without torch and without any file. A network holds no state between pictures: jobs share it.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from engine.images import Bytes
from engine.inpainting.published import WeightFile
from engine.interface import Call
from protocol.erasing import EraseModel, FillMethod, LdmSampler

if TYPE_CHECKING:
    import torch

Filling: TypeAlias = Generator[Call, Any, Bytes]
"""The calls that fill one picture. Returns (H, W, 3) uint8, RGB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseOptions:
    """What a request says about how a model works. Each model takes what concerns it.

    Attributes:
        method, fill_radius_px: for `cv2`; `auto` is `telea`.
        seed: for models that draw lots: equal seeds give equal pixels, whatever else runs.
        on_step: hears `(done, of)` after each part of one picture, from a model that works in several.
    """

    method: FillMethod = FillMethod.AUTO
    fill_radius_px: int = 4
    ldm_steps: int = 20
    ldm_sampler: LdmSampler = LdmSampler.PLMS
    zits_wireframe: bool = True
    seed: int = 0
    on_step: Callable[[int, int], None] | None = None


class EraseNetwork(Protocol):
    """A loaded model. For jobs on the executor thread; several may be between two of its calls."""

    @property
    def size_bytes(self) -> int:
        """Of its weights in memory."""
        ...

    def __call__(self, image: Bytes, mask: Bytes, options: EraseOptions) -> Filling:
        """Make content for what is masked. Use with `yield from`.

        Args:
            image: (H, W, 3) uint8, RGB, of a size the spec allows; may not be written to.
            mask: (H, W) uint8: 255 is repainted, 0 is kept; nothing between.

        Returns:
            (H, W, 3) uint8, RGB. Whatever it is where nothing is masked: the caller sees to that.

        Raises:
            NothingToFillFrom: everything is masked, and the model makes nothing of nothing.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseModelSpec:
    """One erase model.

    Attributes:
        files: all of them are needed; none for methods without weights.
        load: makes the network of the paths of `files`, in their order, on a device, in a type. A device call; it may
            raise `EngineError` with `bad_model`. Code in the files may run: they are trusted.
        load_untrusted: likewise, of files that are not: their weights alone. None if the model is nothing without code.
        pad_multiple: both sides of what it is shown are multiples of this.
        min_px: no side is less.
        is_square: both sides are the same.
        crops_itself: HD strategies do not apply: it sees 512 px around each part of the mask.
        needs_pool: it calculates without torch, on the side pool, and needs no device.
        is_half_on_cuda: it was made to run in half precision there.
        licence: of the weights: an SPDX identifier where there is one, else in words.
        is_commercial: whether that licence allows commercial use.
        title, source: for lists of models.
    """

    name: EraseModel
    title: str
    source: str
    licence: str
    is_commercial: bool
    load: "Callable[[Sequence[Path], str, torch.dtype], EraseNetwork]"
    load_untrusted: "Callable[[Sequence[Path], str, torch.dtype], EraseNetwork] | None" = None
    files: tuple[WeightFile, ...] = ()
    pad_multiple: int = 1
    min_px: int = 1
    is_square: bool = False
    crops_itself: bool = False
    needs_pool: bool = False
    is_half_on_cuda: bool = False

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(file.size_bytes for file in self.files)
