"""Weights as the authors of Real-ESRGAN publish them. Real files were never here: these are stand-ins of their form."""

from pathlib import Path

import pytest
import torch

from engine.interface import EngineError
from engine.upscaling.compact import CompactNet
from engine.upscaling.network import load_network
from engine.upscaling.rrdb import RrdbNet
from protocol.errors import ErrorCode


@pytest.mark.parametrize("key", ["params_ema", "params", None])
@pytest.mark.parametrize(
    "network", [CompactNet(width=8, depth=3), RrdbNet(width=8, growth=4, blocks=2)], ids=["compact", "rrdb"]
)
def test_weights_come_back_from_a_file_in_the_published_form(
    network: CompactNet | RrdbNet, key: str | None, tmp_path: Path
) -> None:
    state = network.state_dict()
    torch.save(state if key is None else {key: state}, tmp_path / "a.pth")
    loaded = load_network(tmp_path / "a.pth", "cpu")
    pixels = torch.rand(1, 3, 9, 7)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(pixels), network.eval()(pixels))


def test_the_published_networks_have_these_sizes() -> None:
    """Of `realesr-general-x4v3`, `RealESRGAN_x4plus` and its drawn-picture variant, in numbers of weights."""
    sizes = [CompactNet(width=64, depth=32), RrdbNet(blocks=23), RrdbNet(blocks=6)]
    counted = [sum(parameter.numel() for parameter in network.parameters()) for network in sizes]
    assert counted == [1_213_296, 16_697_987, 4_467_779]


@pytest.mark.parametrize(
    "content",
    [
        {"params": {}},
        {"body.0.weight": torch.zeros(8, 3, 3, 3)},
        {"conv_first.weight": torch.zeros(8, 3, 3, 3)},
        {"something": 1},
        ["a list"],
    ],
)
def test_what_is_neither_network_is_a_bad_model(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(EngineError) as refused:
        load_network(tmp_path / "a.pth", "cpu")
    assert refused.value.code is ErrorCode.BAD_MODEL


def test_a_file_that_is_no_pickle_is_a_bad_model(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"not weights")
    with pytest.raises(EngineError) as refused:
        load_network(tmp_path / "a.pth", "cpu")
    assert refused.value.code is ErrorCode.BAD_MODEL
