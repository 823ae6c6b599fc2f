import numpy as np
import pytest
import torch

from engine.describing.efficientnet import EfficientNetLite, SameConv, load_efficientnet


@pytest.mark.parametrize(("length", "side", "stride"), [(8, 3, 1), (8, 3, 2), (7, 5, 2), (9, 5, 1), (224, 3, 2)])
def test_a_convolution_gives_a_strideth_of_the_size(length, side, stride):
    convolution = SameConv(1, 1, side, stride=stride)
    assert convolution(torch.zeros(1, 1, length, length)).shape[2:] == (-(-length // stride),) * 2


def test_the_odd_pixel_of_padding_is_at_the_far_end():
    convolution = SameConv(1, 1, 3, stride=2)
    with torch.no_grad():
        convolution.weight.zero_()
        convolution.weight[0, 0, 0, 0] = 1  # gives the pixel at the top left of what it sees
    picture = torch.arange(16.0).view(1, 1, 4, 4)
    assert convolution(picture)[0, 0].tolist() == [[0, 2], [8, 10]]


def test_likelihoods_add_up_to_one_whatever_the_shape():
    torch.manual_seed(0)
    network = EfficientNetLite().eval()
    for shape in ((40, 90, 3), (90, 40, 3), (1, 1, 3)):
        likely = network.classify(np.zeros(shape, np.float32))
        assert likely.shape == (1000,)
        assert likely.sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.models
def test_the_published_weights_fit(models_dir):
    load_efficientnet(models_dir / "efficientnet-lite0.pth", "cpu")


def test_views_are_scaled_before_they_go_to_the_device(monkeypatch):
    """CUDA cannot scale a picture this long. The device without memory refuses tensors that lie elsewhere."""
    seen = []
    network = EfficientNetLite().eval().to("meta")
    monkeypatch.setattr(network, "forward", lambda x: seen.append((x.device.type, tuple(x.shape))) or torch.zeros(2, 3))
    network.classify(np.zeros((2, 30_000, 3), np.float32))
    assert seen == [("meta", (2, 3, 224, 224))]


def test_the_whole_network_runs_on_its_device():
    network = EfficientNetLite().eval().to("meta")
    assert network(torch.zeros(2, 3, 224, 224, device="meta")).device.type == "meta"
