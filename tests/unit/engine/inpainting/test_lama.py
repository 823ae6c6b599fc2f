"""LaMa's weights are read without running the file they come in, and make the network they are of."""

import os
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.images import Bytes
from engine.inpainting.descriptor import EraseOptions
from engine.inpainting.lama import LAMA
from engine.inpainting.lama_network import Lama, Widths, build
from engine.inpainting.script_weights import read_weights
from engine.interface import EngineError
from engine.steps import run_through
from protocol.errors import ErrorCode
from tests.unit.engine.inpainting.stand_ins import SizeTeller, save_script
from tests.unit.engine.pictures import texture

NARROW = Widths(first=4, blocks=2, local=8, channels=32)
PUBLISHED = Widths(first=64, blocks=18, local=128, channels=512)


class Published(nn.Module):
    """As it is published: the generator within something larger, under this name."""

    def __init__(self, generator: Lama) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        made: Tensor = self.generator(image, mask)
        return made


def lama(widths: Widths = NARROW) -> Lama:
    torch.manual_seed(0)
    network = Lama(widths).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network


def traced(path: Path, network: Lama) -> Path:
    example = (torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64, dtype=torch.int64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Published(network), example).save(str(path))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return traced(tmp_path / "big-lama.pt", lama())


def filled(paths: list[Path], image: Bytes, mask: Bytes, *, is_trusted: bool) -> Bytes:
    load = LAMA.load if is_trusted else LAMA.load_untrusted
    assert load is not None
    return run_through(load(paths, "cpu", torch.float32)(image, mask, EraseOptions()))


def picture() -> tuple[Bytes, Bytes]:
    mask = np.zeros((64, 72), np.uint8)
    mask[20:40, 16:50] = 255
    return texture(64, 72), mask


@torch.no_grad()
def expected(network: nn.Module, image: Bytes, mask: Bytes) -> Bytes:
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    made = network(pixels, torch.from_numpy(mask > 0)[None, None].long())
    return (made[0].permute(1, 2, 0) * 255).to(torch.uint8).numpy()


def test_the_weights_of_a_script_are_those_torch_finds_in_it(file: Path) -> None:
    ours = read_weights(file)
    theirs = Published(lama()).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_published_form_is_loaded_and_none_of_its_code_runs(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.inpainting.torchscript._load", None)
    monkeypatch.delattr(torch.jit, "load")
    image, mask = picture()
    for is_trusted in (False, True):
        assert np.array_equal(filled([file], image, mask, is_trusted=is_trusted), expected(lama(), image, mask))


@pytest.mark.parametrize("prefix", ["generator.model.", "model.model.", "model.generator.model."])
def test_weights_are_known_under_each_name_they_are_published_with(prefix: str) -> None:
    weights = {f"{prefix}{name.removeprefix('model.')}": value for name, value in lama().state_dict().items()}
    network = build(weights)
    assert network is not None
    image, mask = picture()
    assert np.array_equal(expected(network, image, mask), expected(lama(), image, mask))


def test_the_network_of_the_published_size_has_its_number_of_weights() -> None:
    with torch.device("meta"):
        network = Lama(PUBLISHED)
    # As counted of spandrel's own class, with which outputs were compared and found equal to the bit.
    assert sum(weight.numel() for weight in network.parameters()) == 50_975_875


def test_what_is_kept_comes_out_as_it_went_in() -> None:
    image, mask = picture()
    made = expected(lama(), image, mask)
    # Cut down to whole numbers, a value may come out one less.
    assert np.abs(made[mask == 0].astype(int) - image[mask == 0]).max() <= 1


def test_another_network_works_if_its_file_is_trusted_and_only_then(tmp_path: Path) -> None:
    path = save_script(SizeTeller(), tmp_path / "big-lama.pt")
    image, mask = picture()
    assert (filled([path], image, mask, is_trusted=True)[mask > 0] == (64, 72, 0)).all()
    with pytest.raises(EngineError, match="not LaMa's") as caught:
        filled([path], image, mask, is_trusted=False)
    assert caught.value.code is ErrorCode.BAD_MODEL


def test_weights_that_are_not_all_there_are_refused() -> None:
    weights = {f"generator.{name}": value for name, value in lama().state_dict().items()}
    del weights["generator.model.6.conv2.ffc.convl2g.weight"]
    with pytest.raises(EngineError, match="missing"):
        build(weights)


class Runs:
    """A pickle that would run a program."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("constants", [True, False])
def test_a_file_that_names_anything_but_weights_is_refused(tmp_path: Path, constants: bool) -> None:
    path = tmp_path / "evil.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("evil/data.pkl", pickle.dumps(Runs(tmp_path / "made"), protocol=2))
        archive.writestr("evil/version", "3")
        if constants:
            archive.writestr("evil/constants.pkl", pickle.dumps((), protocol=2))
    with pytest.raises(EngineError, match="no weights") as caught:
        read_weights(path)
    assert caught.value.code is ErrorCode.BAD_MODEL
    assert not (tmp_path / "made").exists()


def test_a_damaged_file_is_refused(file: Path) -> None:
    content = file.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"PK\x03\x04", content[:-200] + bytes(200)):
        file.write_bytes(damaged)
        with pytest.raises(EngineError) as caught:
            read_weights(file)
        assert caught.value.code is ErrorCode.BAD_MODEL


def test_a_storage_that_several_tensors_share_is_read_as_each_sees_it(tmp_path: Path) -> None:
    class Shares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            whole = torch.arange(12, dtype=torch.float16).reshape(3, 4)
            self.register_buffer("whole", whole)
            self.register_buffer("part", whole.t()[1:])

        def forward(self, x: Tensor) -> Tensor:
            return x

    weights = read_weights(save_script(Shares(), tmp_path / "shares.pt"))
    assert weights["part"].tolist() == [[1, 5, 9], [2, 6, 10], [3, 7, 11]]
    assert weights["whole"].dtype is torch.float16
