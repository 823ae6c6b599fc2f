import pytest
import torch

from engine.upscaling import network as module
from engine.upscaling.compact import CompactNet
from engine.upscaling.network import load_network
from engine.upscaling.rrdb import RrdbNet


@pytest.mark.parametrize(("device", "dtype"), [("cuda:0", torch.float16), ("cpu", torch.float32)])
def test_half_precision_is_for_gpus_only(device, dtype, monkeypatch, tmp_path):
    made, asked = CompactNet(width=4, depth=1), {}
    monkeypatch.setattr(module, "read_layers", lambda param, weights: [])
    monkeypatch.setattr(module, "network_from", lambda layers: made)
    monkeypatch.setattr(made, "to", lambda **wanted: asked.update(wanted) or made)
    assert load_network(tmp_path / "a.bin", device) is made
    assert asked == {"device": device, "dtype": dtype, "memory_format": torch.channels_last}


@pytest.mark.parametrize("network", [CompactNet(width=8, depth=2), RrdbNet(width=8, growth=4, blocks=1)])
def test_a_network_in_half_precision_and_with_channels_last_gives_almost_the_same(network):
    torch.manual_seed(3)
    pixels = torch.rand(1, 3, 12, 10)
    with torch.inference_mode():
        expected = network.eval()(pixels)
        network.to(dtype=torch.float16, memory_format=torch.channels_last)
        made = network(pixels.to(torch.float16, memory_format=torch.channels_last))
    assert made.dtype is torch.float16
    torch.testing.assert_close(made.float(), expected, atol=5e-3, rtol=0)
