"""RestoreFormer's network. The real weights were never here: names and sizes are held to the published file's."""

import torch

from engine.plugins.restoreformer import RestoreFormer


def test_the_published_network_has_its_number_of_weights_and_its_names() -> None:
    with torch.device("meta"):
        state = RestoreFormer().state_dict()
    assert len(state) == 405
    assert state["quantize.embedding.weight"].shape == (1024, 256)
    assert state["encoder.down.5.attn.1.proj_out.weight"].shape == (512, 512, 1, 1)
    assert state["encoder.down.4.downsample.conv.weight"].shape == (256, 256, 3, 3)
    assert state["decoder.up.5.attn.2.norm2.bias"].shape == (512,)
    assert state["decoder.up.1.upsample.conv.weight"].shape == (128, 128, 3, 3)
    assert state["decoder.mid.attn_1.q.weight"].shape == (512, 512, 1, 1)
    assert not any(name.startswith(("encoder.down.5.downsample", "decoder.up.0.upsample")) for name in state)


def test_a_face_comes_out_in_its_size() -> None:
    torch.manual_seed(1)
    network = RestoreFormer(width=32, words=8, length=32).eval()
    face = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.inference_mode():
        assert network(face).shape == face.shape


def test_each_place_gets_the_nearest_word() -> None:
    network = RestoreFormer(width=32, words=3, length=2)
    network.quantize.embedding.weight.data = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    read = torch.tensor([[[0.9, 0.1]], [[0.2, 1.5]]])[None]  # (1, 2, 1, 2): the places (0.9, 0.2) and (0.1, 1.5)
    assert network.quantize(read)[0, :, 0].T.tolist() == [[1.0, 0.0], [0.0, 2.0]]
