import contextlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from engine.library.headers import MAX_HEADER_BYTES, BadHeader, read_header
from tests.unit.engine.library import model_files

SHAPES = {"a.weight": (2, 3), "b.bias": (4,), "scale": ()}


def refusal(tmp_path, content):
    path = tmp_path / "file.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadHeader) as caught:
        read_header(path)
    assert str(tmp_path) not in str(caught.value)
    return str(caught.value)


def with_header(entries, data_bytes=0):
    return model_files.framed(json.dumps(entries).encode(), data_bytes)


def entry(begin, end, shape=None, dtype="U8"):
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


def test_names_shapes_and_metadata_are_those_the_library_wrote(tmp_path):
    tensors = {"a.weight": np.zeros((2, 3), np.float16), "b": np.zeros((4,), np.int64), "c": np.zeros((), np.float32)}
    save_file(tensors, tmp_path / "file.safetensors", metadata={"format": "pt"})
    header = read_header(tmp_path / "file.safetensors")
    assert dict(header.shapes) == {"a.weight": (2, 3), "b": (4,), "c": ()}
    assert header.metadata == {"format": "pt"}


def test_generated_files_of_these_tests_are_sound(tmp_path):
    assert read_header(model_files.write(tmp_path / "file.safetensors", SHAPES)).shapes == SHAPES


def test_tensors_are_not_read(tmp_path):
    # A sparse file of 8 GB: reading it would take the memory of this machine.
    size = 8 << 30
    path = tmp_path / "file.safetensors"
    path.write_bytes(with_header({"a": entry(0, size)}))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + size)
    assert read_header(path).shapes == {"a": (size,)}


def test_empty_file_is_told_as_empty(tmp_path):
    assert "empty" in refusal(tmp_path, b"")


@pytest.mark.parametrize("kept", [3, 8, 20])
def test_file_that_ends_within_its_header_is_refused(tmp_path, kept):
    assert "ends within" in refusal(tmp_path, model_files.content(SHAPES)[:kept])


def test_file_that_ends_within_its_tensors_is_truncated_by_the_bytes_missing(tmp_path):
    assert "truncated: 3 bytes" in refusal(tmp_path, model_files.content(SHAPES)[:-3])


def test_bytes_that_belong_to_no_tensor_are_refused(tmp_path):
    assert "2 bytes at its end" in refusal(tmp_path, model_files.content(SHAPES) + b"xx")


@pytest.mark.parametrize("length", [MAX_HEADER_BYTES + 1, (1 << 64) - 1])
def test_header_that_claims_to_be_huge_is_not_read(tmp_path, length):
    assert str(MAX_HEADER_BYTES) in refusal(tmp_path, struct.pack("<Q", length) + b"{}")


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b'{"a": NaN}', b"\xff{}", b'{"\xff": 1}', b'{"a":' * 100_000, b'{"a": 1' + b"0" * 9000]
)
def test_header_that_is_no_json_object_is_refused(tmp_path, text):
    assert "not JSON" in refusal(tmp_path, model_files.framed(text))


def test_name_given_twice_is_refused(tmp_path):
    text = b'{"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}, "a": {}}'
    assert "'a' twice" in refusal(tmp_path, model_files.framed(text))


def test_tensors_that_overlap_are_refused(tmp_path):
    assert "over another" in refusal(tmp_path, with_header({"a": entry(0, 4), "b": entry(2, 6)}, 6))


def test_gap_between_tensors_is_refused(tmp_path):
    assert "gap" in refusal(tmp_path, with_header({"a": entry(0, 2), "b": entry(3, 6)}, 6))


@pytest.mark.parametrize("shape", [[3], [2, 2, 2], [0]])
def test_shape_that_does_not_fit_the_bytes_is_refused(tmp_path, shape):
    assert "does not fit" in refusal(tmp_path, with_header({"a": entry(0, 4, shape)}, 4))


@pytest.mark.parametrize(
    "bad",
    [
        3,
        {},
        {"dtype": "U8", "shape": [1]},
        {"dtype": "U8", "shape": [-1], "data_offsets": [0, 1]},
        {"dtype": "U8", "shape": [1.0], "data_offsets": [0, 1]},
        {"dtype": "U8", "shape": [True], "data_offsets": [0, 1]},
        {"dtype": "U8", "shape": "1", "data_offsets": [0, 1]},
        {"dtype": "U8", "shape": [1] * 1000, "data_offsets": [0, 1]},
        {"dtype": "U8", "shape": [10**30], "data_offsets": [0, 1]},
        {"dtype": "U8", "shape": [1], "data_offsets": [1, 0]},
        {"dtype": "U8", "shape": [1], "data_offsets": [0]},
        {"dtype": 8, "shape": [1], "data_offsets": [0, 1]},
    ],
)
def test_description_that_is_none_is_refused(tmp_path, bad):
    assert "its header" in refusal(tmp_path, with_header({"a": bad}, 1))


def test_element_type_of_the_future_is_believed(tmp_path):
    path = tmp_path / "file.safetensors"
    path.write_bytes(with_header({"a": entry(0, 5, [7], "F6_NEW")}, 5))
    assert read_header(path).shapes == {"a": (7,)}


@given(place=st.integers(0, 300), byte=st.integers(0, 255))
def test_one_wrong_byte_never_raises_anything_else(tmp_path_factory, place, byte):
    content = bytearray(model_files.content(SHAPES))
    content[place % len(content)] = byte
    path = tmp_path_factory.mktemp("damaged") / "file.safetensors"
    path.write_bytes(content)
    with contextlib.suppress(BadHeader):
        read_header(path)
