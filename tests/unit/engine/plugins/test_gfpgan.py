"""GFPGAN's network. The real weights were never here: names and sizes are held to those of the published file."""

import torch

from engine.plugins.gfpgan import GfpGan


def test_the_published_network_has_its_number_of_weights_and_its_names() -> None:
    with torch.device("meta"):
        state = GfpGan().state_dict()
    assert len(state) == 285
    assert state["conv_body_first.weight"].shape == (32, 3, 1, 1)
    assert state["final_linear.weight"].shape == (8192, 4096)
    assert state["stylegan_decoder.style_convs.13.modulated_conv.weight"].shape == (1, 64, 64, 3, 3)
    assert state["stylegan_decoder.noises.noise14"].shape == (1, 1, 512, 512)
    assert state["condition_shift.6.2.bias"].shape == (32,)
    assert state["toRGB.6.weight"].shape == (3, 32, 1, 1)


def test_a_face_comes_out_in_its_size_and_the_same_each_time() -> None:
    torch.manual_seed(1)
    network = GfpGan(side_px=64, width=1 / 16).eval()
    face = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.inference_mode():
        first, again = network(face), network(face)
    assert first.shape == face.shape
    assert torch.equal(first, again)
    assert first.std() > 0


def test_pictures_of_one_call_do_not_touch_each_other() -> None:
    torch.manual_seed(2)
    network = GfpGan(side_px=32, width=1 / 16).eval()
    faces = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(network(faces)[1:], network(faces[1:]), atol=1e-5, rtol=1e-4)
