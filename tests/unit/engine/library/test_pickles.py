import contextlib
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.library.pickles import BadPickle, read_pickle

STATE = {
    "model.diffusion_model.input_blocks.0.0.weight": torch.zeros(2, 9, 3, 3),
    "model.diffusion_model.half": torch.zeros(5, 6, dtype=torch.float16),
    "parameter": torch.nn.Parameter(torch.zeros(7)),
    "scalar": torch.tensor(1.0),
    "view": torch.zeros(4, 4)[1:3, 2:],
}


@pytest.mark.parametrize("is_new", [True, False], ids=["zip", "bare"])
def test_names_and_shapes_are_those_torch_saved(tmp_path, is_new):
    torch.save({"state_dict": STATE, "epoch": 3}, tmp_path / "x.ckpt", _use_new_zipfile_serialization=is_new)
    found = read_pickle(tmp_path / "x.ckpt")
    assert {name: found[name] for name in STATE} == {name: tuple(tensor.shape) for name, tensor in STATE.items()}
    assert found["state_dict"] == found["epoch"] == ()


class Touch:
    """A pickle of it makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (Path(self.path),))


def test_hostile_pickle_is_not_run(tmp_path):
    made = tmp_path / "made"
    program = pickle.dumps({"weight": Touch(made)}, protocol=2)
    (tmp_path / "bare.ckpt").write_bytes(program)
    with zipfile.ZipFile(tmp_path / "zip.ckpt", "w") as archive:
        archive.writestr("x/data.pkl", program)
    assert "weight" in read_pickle(tmp_path / "bare.ckpt")
    assert "weight" in read_pickle(tmp_path / "zip.ckpt")
    assert not made.exists()
    pickle.loads(program)
    assert made.exists(), "the program would have made a file"


@pytest.mark.parametrize("content", [b"", b"GGUF....", b"\0" * 100, b"PK\x03\x04"])
def test_what_is_no_pytorch_file_is_refused(tmp_path, content):
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(BadPickle):
        read_pickle(tmp_path / "x.bin")


def test_compressed_archive_tells_nothing(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", pickle.dumps({"weight": "x" * 1000}))
    assert read_pickle(tmp_path / "x.pt") == {}


def test_archive_of_something_else_tells_nothing(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("readme.txt", b"\x80\x02hello")
    assert read_pickle(tmp_path / "x.pt") == {}


def test_pickle_without_end_is_left_after_a_while(tmp_path):
    pushes = b"N0" * 5_000_000  # push nothing, drop it, and so on
    late = b"X\x04\0\0\0late"
    (tmp_path / "x.pt").write_bytes(b"\x80\x02" + pushes + late)
    assert read_pickle(tmp_path / "x.pt") == {}


@given(place=st.integers(2, 10_000), byte=st.integers(0, 255), kept=st.integers(40, 10_000))
def test_damaged_pickle_never_raises_anything_else(tmp_path_factory, saved, place, byte, kept):
    content = bytearray(saved)
    content[2 + place % (len(content) - 2)] = byte
    path = tmp_path_factory.mktemp("damaged") / "x.ckpt"
    path.write_bytes(content[:kept])
    with contextlib.suppress(BadPickle):
        read_pickle(path)


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("pickles") / "x.ckpt"
    torch.save({"state_dict": STATE}, path, _use_new_zipfile_serialization=False)
    return path.read_bytes()
