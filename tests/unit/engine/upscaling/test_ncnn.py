import numpy as np
import pytest
import torch
from torch import nn

from engine.upscaling.compact import CompactNet
from engine.upscaling.ncnn import BadNcnnModel, Convolution, PRelu, read_layers
from engine.upscaling.network import load_network, network_from
from engine.upscaling.rrdb import RrdbNet

HALF_TAG = np.uint32(0x01306B47).tobytes()


def write_ncnn(network, folder, *, slope=0.2, is_half=True):
    """Write a network as ncnn does: a line per layer, half-precision weights padded to four bytes, plain biases."""
    lines, numbers = ["Input in 0 1 data 0=0"], b""
    after_dense = {"conv1", "conv2", "conv3", "conv4", "conv_up1", "conv_up2", "conv_hr"}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            weight = module.weight.detach().numpy()
            line = f"Convolution {name} 1 1 a b 0={weight.shape[0]} 1=3 4=1 5=1 6={weight.size}"
            if name.rsplit(".", 1)[-1] in after_dense:
                line += f" 9=2 -23310=1,{slope:e}"
            lines.append(line)
            content = weight.astype(np.float16).tobytes() if is_half else weight.tobytes()
            content = (HALF_TAG if is_half else bytes(4)) + content
            numbers += content + bytes(-len(content) % 4) + module.bias.detach().numpy().tobytes()
        elif isinstance(module, nn.PReLU):
            lines.append(f"PReLU {name} 1 1 a b 0={module.weight.numel()}")
            numbers += module.weight.detach().numpy().tobytes()
    lines.append("BinaryOp add 2 1 a b c 0=0")
    (folder / "net.param").write_text("\n".join(["7767517", f"{len(lines)} {len(lines)}", *lines]) + "\n")
    (folder / "net.bin").write_bytes(numbers)
    return folder / "net.bin"


def tiny(kind):
    torch.manual_seed(3)
    return CompactNet(width=5, depth=2, scale=4) if kind == "compact" else RrdbNet(width=6, growth=3, blocks=2)


@pytest.mark.parametrize("is_half", [True, False])
@pytest.mark.parametrize("kind", ["compact", "rrdb"])
def test_a_network_written_for_ncnn_reads_back_the_same(kind, is_half, tmp_path):
    network = tiny(kind)
    read = load_network(write_ncnn(network, tmp_path, is_half=is_half), "cpu")
    expected = network.state_dict()
    assert type(read) is type(network)
    assert list(read.state_dict()) == list(expected)
    for name, value in read.state_dict().items():
        torch.testing.assert_close(value, expected[name], atol=1e-3, rtol=1e-3)
    pixels = torch.rand(1, 3, 9, 7)
    with torch.inference_mode():
        torch.testing.assert_close(read(pixels), network(pixels), atol=1e-2, rtol=1e-2)


def test_parameter_names_are_the_published_ones():
    assert {"body.0.weight", "body.1.weight", "body.6.bias"} <= set(tiny("compact").state_dict())
    names = set(tiny("rrdb").state_dict())
    assert {"conv_first.weight", "body.1.rdb3.conv5.bias", "conv_body.bias", "conv_up2.weight", "conv_hr.bias"} <= names


@pytest.mark.parametrize("kind", ["compact", "rrdb"])
def test_a_network_enlarges_four_times(kind):
    with torch.inference_mode():
        assert tiny(kind)(torch.rand(1, 3, 8, 10)).shape == (1, 3, 32, 40)


def test_the_compact_network_sees_no_farther_than_it_says():
    network = tiny("compact")
    pixels = torch.rand(1, 3, 24, 24)
    changed = pixels.clone()
    changed[..., 0] = 1 - changed[..., 0]
    with torch.inference_mode():
        differs = (network(pixels) != network(changed)).any(dim=1)[0].any(dim=0)
    assert not differs[(network.reach_px + 1) * 4 :].any()
    assert differs[: network.reach_px * 4].any()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-4], "ends early"),
        (lambda content: content + bytes(4), "4 bytes left over"),
        (lambda content: b"\x11\x22\x33\x44" + content[4:], "tagged 0x44332211"),
    ],
)
def test_a_damaged_weight_file_is_refused(damage, message, tmp_path):
    path = write_ncnn(tiny("compact"), tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadNcnnModel, match=message):
        load_network(path, "cpu")


def test_a_layer_that_may_carry_weights_is_refused_if_it_is_not_known(tmp_path):
    path = write_ncnn(tiny("compact"), tmp_path)
    with path.with_suffix(".param").open("a") as param:
        param.write("BatchNorm norm 1 1 a b 0=5\n")
    with pytest.raises(BadNcnnModel, match="'BatchNorm' is not supported"):
        read_layers(path.with_suffix(".param"), path)


@pytest.mark.parametrize("text", ["", "not ncnn\n1 1\n", "7767517\n1 1\nConvolution a one 1 b c 0=1\n"])
def test_a_text_that_is_no_graph_is_refused(text, tmp_path):
    (tmp_path / "net.param").write_text(text)
    (tmp_path / "net.bin").write_bytes(b"")
    with pytest.raises(BadNcnnModel):
        read_layers(tmp_path / "net.param", tmp_path / "net.bin")


def test_another_activation_than_the_networks_own_is_refused(tmp_path):
    with pytest.raises(BadNcnnModel, match=r"leaky ReLUs of slope 0\.2"):
        load_network(write_ncnn(tiny("rrdb"), tmp_path, slope=0.1), "cpu")


def test_layers_of_another_network_are_refused():
    layer = Convolution(weight=np.zeros((48, 3, 3, 3), np.float32), bias=np.zeros(48, np.float32))
    with pytest.raises(BadNcnnModel):
        network_from([layer, PRelu(slope=np.zeros(4, np.float32)), layer])
    with pytest.raises(BadNcnnModel):
        network_from([layer, layer, layer])
    with pytest.raises(BadNcnnModel):
        network_from([])


@pytest.mark.models
@pytest.mark.parametrize(
    ("file", "kind", "parameters"),
    [
        ("realesr-animevideov3-x4.bin", CompactNet, 621_424),
        ("realesrgan-x4plus.bin", RrdbNet, 16_697_987),
        ("realesrgan-x4plus-anime.bin", RrdbNet, 4_467_779),
    ],
)
def test_the_published_weights_fit(file, kind, parameters, models_dir):
    network = load_network(models_dir / file, "cpu")
    assert isinstance(network, kind)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
