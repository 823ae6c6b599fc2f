"""Read the weights of an ncnn model: a `.param` text that lists the layers, and a `.bin` with their numbers.

Only what feed-forward convolutional networks need: convolutions and PReLUs carry weights, the layers in `_PLAIN`
carry none, and any other kind is refused, since the numbers after it could not be found.

Source: the format as documented by ncnn (param and model file structure; operators).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MAGIC: Final = "7767517"
_HALF_PRECISION: Final = 0x01306B47
_SINGLE_PRECISION: Final = 0
_PLAIN: Final = frozenset({"Input", "Split", "Concat", "Eltwise", "BinaryOp", "Interp", "PixelShuffle"})
_ARRAY_KEYS_BELOW: Final = -23_300
_LEAKY_RELU: Final = 2


class BadNcnnModel(ValueError):
    """The files are not an ncnn model, do not belong together, or hold a layer that is not supported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A convolution.

    Attributes:
        weight: (out channels, in channels, side, side) float32.
        bias: (out channels,) float32.
        negative_slope: of the leaky ReLU ncnn has fused into it; None if there is none.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    negative_slope: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PRelu:
    """A PReLU; `slope` is (channels,) float32."""

    slope: NDArray[np.float32]


Layer = Convolution | PRelu


def read_layers(param: Path, weights: Path) -> list[Layer]:
    """The layers that carry weights, in the order of the file, which is the order they run in.

    Raises:
        BadNcnnModel: the files cannot be read as such a model.
        OSError: they cannot be read at all.
    """
    numbers = _Numbers(weights.read_bytes(), weights.name)
    layers: list[Layer] = []
    for kind, settings in _layer_lines(param):
        if kind == "Convolution":
            layers.append(_convolution(settings, numbers))
        elif kind == "PReLU":
            layers.append(PRelu(slope=numbers.plain(_whole(settings, 0))))
        elif kind not in _PLAIN:
            raise BadNcnnModel(f"{param.name}: layer kind {kind!r} is not supported")
    numbers.expect_end()
    return layers


def _layer_lines(param: Path) -> Iterator[tuple[str, dict[int, list[float]]]]:
    lines = param.read_text(encoding="ascii", errors="replace").splitlines()
    if not lines or lines[0].strip() != _MAGIC:
        raise BadNcnnModel(f"{param.name}: expected {_MAGIC} in the first line")
    try:
        for line in lines[2:]:
            fields = line.split()
            if fields:
                first_setting = 4 + int(fields[2]) + int(fields[3])
                yield fields[0], dict(map(_setting, fields[first_setting:]))
    except (ValueError, IndexError) as error:
        raise BadNcnnModel(f"{param.name}: not a layer: {line[:80]!r} ({error})") from None


def _setting(text: str) -> tuple[int, list[float]]:
    """`0=64` or `-23310=1,0.2`: an array with its length first, under the key -23300 - k."""
    key_text, _, value_text = text.partition("=")
    key, values = int(key_text), [float(value) for value in value_text.split(",")]
    return (_ARRAY_KEYS_BELOW - key, values[1:]) if key <= _ARRAY_KEYS_BELOW else (key, values)


def _whole(settings: dict[int, list[float]], key: int, default: int | None = None) -> int:
    if key not in settings:
        if default is None:
            raise BadNcnnModel(f"a layer lacks its setting {key}")
        return default
    return int(settings[key][0])


def _convolution(settings: dict[int, list[float]], numbers: "_Numbers") -> Convolution:
    outputs, side, size = _whole(settings, 0), _whole(settings, 1), _whole(settings, 6)
    if min(outputs, side, size) < 1 or size % (outputs * side * side) != 0:
        raise BadNcnnModel(f"a convolution with {outputs} outputs of side {side} cannot hold {size} weights")
    weight = numbers.tagged(size).reshape(outputs, -1, side, side)
    bias = numbers.plain(outputs) if _whole(settings, 5, 0) else np.zeros(outputs, np.float32)
    slope = settings.get(10, [0.0])[0] if _whole(settings, 9, 0) == _LEAKY_RELU else None
    return Convolution(weight=weight, bias=bias, negative_slope=slope)


class _Numbers:
    """The `.bin`, read from front to back."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content = content
        self._name = name
        self._at = 0

    def tagged(self, count: int) -> NDArray[np.float32]:
        """`count` numbers after a tag that says how they are written; padded to four bytes."""
        (tag,) = self._take(np.dtype("<u4"), 1)
        if tag == _HALF_PRECISION:
            values = self._take(np.dtype("<f2"), count).astype(np.float32)
            self._at += -self._at % 4
            return values
        if tag == _SINGLE_PRECISION:
            return self.plain(count)
        raise BadNcnnModel(f"{self._name}: weights tagged 0x{int(tag):08X} are not supported")

    def plain(self, count: int) -> NDArray[np.float32]:
        return self._take(np.dtype("<f4"), count).astype(np.float32)

    def expect_end(self) -> None:
        if self._at != len(self._content):
            raise BadNcnnModel(f"{self._name}: {len(self._content) - self._at} bytes left over after the last layer")

    def _take(self, dtype: "np.dtype[np.generic]", count: int) -> NDArray[np.generic]:
        end = self._at + count * dtype.itemsize
        if end > len(self._content):
            raise BadNcnnModel(f"{self._name}: ends early, {end} bytes are needed and {len(self._content)} are there")
        values = np.frombuffer(self._content, dtype, count, self._at)
        self._at = end
        return values
