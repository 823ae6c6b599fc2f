"""An ONNX file without the onnx package: one that answers with the mean of the three colours.

The numbers are those of fields in onnx.proto (ONNX 1.x).
"""


def mean_of_colours(side_px: int) -> bytes:
    """A model from (1, 3, side, side) to (1, 1, side, side)."""
    axes = _text(1, "axes") + _number(8, 1) + _number(20, 7)
    node = _text(1, "pixels") + _text(2, "mean") + _text(4, "ReduceMean") + _part(5, axes)
    inputs, outputs = _tensor("pixels", (1, 3, side_px, side_px)), _tensor("mean", (1, 1, side_px, side_px))
    graph = _part(1, node) + _text(2, "tiny") + _part(11, inputs) + _part(12, outputs)
    opset = _text(1, "") + _number(2, 13)
    return _number(1, 8) + _part(7, graph) + _part(8, opset)


def _tensor(name: str, shape: tuple[int, ...]) -> bytes:
    sizes = b"".join(_part(1, _number(1, size)) for size in shape)
    return _text(1, name) + _part(2, _part(1, _number(1, 1) + _part(2, sizes)))


def _text(field: int, value: str) -> bytes:
    return _part(field, value.encode())


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    digits = []
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
