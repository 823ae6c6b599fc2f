"""BrushNet's network, and the UNet that listens to it, against the same written out layer by layer."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import UNet2DConditionModel
from torch import Tensor

from engine.diffusion.brushed_unet import BrushedUnet, Brushwork, brush_state
from engine.diffusion.brushnet import BrushNetModel, points
from engine.diffusion.families import CONFIGS
from protocol.brushnet import BrushNet
from tests import tiny_brushnets
from tests.tiny_brushnets import make_brushnet
from tests.tiny_models import HIDDEN, HIDDEN_2, make_unet, make_xl_unet, seeded
from tests.unit.engine.diffusion.brushed_by_hand import brushed_by_hand, told_by_hand

PUBLISHED: Final[dict[str, Any]] = {
    "act_fn": "silu",
    "addition_embed_type": None,
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "brushnet_conditioning_channel_order": "rgb",
    "class_embed_type": None,
    "conditioning_channels": 5,
    "conditioning_embedding_out_channels": [16, 32, 96, 256],
    "cross_attention_dim": 768,
    "down_block_types": ["DownBlock2D"] * 4,
    "global_pool_conditions": False,
    "in_channels": 4,
    "layers_per_block": 2,
    "mid_block_type": "MidBlock2D",
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "num_attention_heads": None,
    "only_cross_attention": False,
    "transformer_layers_per_block": 1,
    "up_block_types": ["UpBlock2D"] * 4,
}
"""What tells the published networks from others, of their `config.json`."""
PUBLISHED_XL: Final[dict[str, Any]] = {
    **PUBLISHED,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "attention_head_dim": [5, 10, 20],
    "block_out_channels": [320, 640, 1280],
    "cross_attention_dim": 2048,
    "down_block_types": ["DownBlock2D"] * 3,
    "projection_class_embeddings_input_dim": 2816,
    "transformer_layers_per_block": [1, 2, 10],
    "up_block_types": ["UpBlock2D"] * 3,
    "upcast_attention": None,
    "use_linear_projection": True,
}


def noise(*shape: int, seed: int = 0) -> Tensor:
    with seeded(seed):
        return torch.randn(shape)


@pytest.fixture(scope="module")
def unet() -> Any:
    with seeded(0):
        return make_unet()


@pytest.fixture
def listening(unet: Any) -> Iterator[Any]:
    state = brush_state(unet)
    state.activate(unet)
    yield unet
    state.deactivate(unet)


@pytest.mark.parametrize(
    ("config", "downward", "upward"), [(PUBLISHED, 12, 15), (PUBLISHED_XL, 9, 11)], ids=["sd1", "sdxl"]
)
def test_the_weights_have_the_names_and_shapes_of_the_published_files(
    config: dict[str, Any], downward: int, upward: int
) -> None:
    with init_empty_weights():
        net = BrushNetModel.from_config(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    assert shapes["conv_in_condition.weight"] == (320, 9, 3, 3)
    assert shapes["mid_block.resnets.1.conv2.weight"] == (1280, 1280, 3, 3)
    assert not any("attentions" in name for name in shapes)
    for half, count in (("down", downward), ("up", upward)):
        assert {name for name in shapes if name.startswith(f"brushnet_{half}_blocks.")} == {
            f"brushnet_{half}_blocks.{at}.{part}" for at in range(count) for part in ("weight", "bias")
        }
    assert shapes["brushnet_up_blocks.3.weight"] == (1280, 1280, 1, 1)
    assert shapes[f"brushnet_up_blocks.{upward - 1}.bias"] == (320,)
    assert ("add_embedding.linear_1.weight" in shapes) is (config is PUBLISHED_XL)


@pytest.mark.parametrize(("config", "family"), [(PUBLISHED, "sd1"), (PUBLISHED_XL, "sdxl")], ids=["sd1", "sdxl"])
def test_what_the_published_networks_tell_has_the_shapes_of_what_leaves_the_layers_of_real_unets(
    config: dict[str, Any], family: str
) -> None:
    with init_empty_weights(), torch.device("meta"):
        net, unet = (
            kind.from_config(given)
            for kind, given in (
                (BrushNetModel, config),
                (UNet2DConditionModel, json.loads((CONFIGS / family / "unet" / "config.json").read_text("utf-8"))),
            )
        )
        sample, text = torch.empty(2, 4, 64, 40), torch.empty(2, 77, unet.config.cross_attention_dim)
        conditions = {"text_embeds": torch.empty(2, 1280), "time_ids": torch.empty(2, 6)}
        told = net(sample, torch.tensor(5), torch.empty(2, 5, 64, 40), torch.ones(2), added_cond_kwargs=conditions)
        state = brush_state(unet)
        state.activate(unet)
        made = unet(sample, torch.tensor(5), text, added_cond_kwargs={**conditions, "brushnet_residuals": told}).sample
        state.deactivate(unet)
    assert made.shape == sample.shape
    assert len(told) == len(points(unet, unet.conv_in))


@pytest.mark.parametrize(
    "setting", [{"class_embed_type": "timestep"}, {"addition_embed_type": "image"}, {"encoder_hid_dim_type": "x"}]
)
def test_what_no_published_network_has_is_refused(setting: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"no published BrushNet|text_time is known"):
        make_brushnet({**tiny_brushnets.SD1, **setting})


@pytest.mark.parametrize("size", [(8, 8), (7, 9)], ids=["even", "odd"])
def test_what_it_tells_is_what_its_layers_make_one_after_another(size: tuple[int, int]) -> None:
    net = make_brushnet()
    sample, seen, step = noise(2, 4, *size), noise(2, 5, *size, seed=1), torch.tensor([3.0, 700.0])
    told = net(sample, step, seen, torch.ones(2))
    expected = told_by_hand(net, sample, step, seen)
    assert len(told) == len(expected) == len(points(net, net.conv_in_condition))
    for mine, wanted in zip(told, expected, strict=True):
        assert torch.equal(mine, wanted)


def test_sdxl_sizes_and_text_are_added_to_the_time() -> None:
    net = make_brushnet(tiny_brushnets.XL)
    text, sizes = noise(2, HIDDEN_2), torch.arange(12.0).reshape(2, 6)
    sample, seen, step = noise(2, 4, 8, 8), noise(2, 5, 8, 8, seed=1), torch.tensor(5)
    told = net(sample, step, seen, torch.ones(2), added_cond_kwargs={"text_embeds": text, "time_ids": sizes})
    embedded = net.add_embedding(torch.cat([text, net.add_time_proj(sizes.flatten()).reshape(2, -1)], 1))
    for mine, wanted in zip(told, told_by_hand(net, sample, step.expand(2), seen, embedded), strict=True):
        assert torch.allclose(mine, wanted, atol=1e-6)


def test_each_row_is_scaled_by_its_own_number() -> None:
    net = make_brushnet()
    sample, seen, step = noise(2, 4, 8, 8), noise(2, 5, 8, 8, seed=1), torch.tensor(5)
    whole, scaled = (net(sample, step, seen, torch.tensor(scale)) for scale in ([1.0, 1.0], [0.5, 2.0]))
    for one, other in zip(whole, scaled, strict=True):
        assert torch.equal(one * torch.tensor([0.5, 2.0])[:, None, None, None], other)


def test_a_network_with_attention_heeds_its_text() -> None:
    net = make_brushnet(tiny_brushnets.ATTENDING)
    given = noise(1, 4, 8, 8), torch.tensor(5), noise(1, 5, 8, 8, seed=1), torch.ones(1)
    one, same, other = (net(*given, encoder_hidden_states=noise(1, 77, HIDDEN, seed=seed)) for seed in (2, 2, 3))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one[1:], other[1:], strict=True))


@pytest.mark.parametrize("size", [(8, 8), (7, 9)], ids=["even", "odd"])
def test_a_unet_adds_what_it_is_told_to_what_leaves_its_layers(listening: Any, size: tuple[int, int]) -> None:
    net = make_brushnet()
    sample, seen, text = noise(2, 4, *size), noise(2, 5, *size, seed=1), noise(2, 77, HIDDEN, seed=2)
    told = net(sample, torch.tensor(5), seen, torch.ones(2))
    made = listening(sample, 5, text, added_cond_kwargs={"brushnet_residuals": told}).sample
    expected = brushed_by_hand(listening, sample, torch.tensor([5, 5]), text, told)
    assert torch.allclose(made, expected, atol=1e-5)
    assert not torch.allclose(made, listening(sample, 5, text).sample, atol=1e-3)


def test_a_unet_that_nothing_is_told_makes_what_it_always_makes(unet: Any) -> None:
    sample, text = noise(2, 4, 8, 8), noise(2, 77, HIDDEN, seed=2)
    plain = unet(sample, 5, text).sample
    state = brush_state(unet)
    state.activate(unet)
    told = make_brushnet(is_trained=False)(sample, 5, noise(2, 5, 8, 8, seed=1), torch.ones(2))
    silent = unet(sample, 5, text).sample
    zero = unet(sample, 5, text, added_cond_kwargs={"brushnet_residuals": told}).sample
    state.deactivate(unet)
    after = unet(sample, 5, text, added_cond_kwargs={"brushnet_residuals": [noise(1)] * 40}).sample
    for made in (silent, zero, after):
        assert torch.equal(made, plain)
    assert not any(layer._forward_hooks for layer in unet.modules())


def test_what_is_left_of_one_forward_is_not_heard_in_the_next(listening: Any) -> None:
    sample, text = noise(2, 4, 8, 8), noise(2, 77, HIDDEN, seed=2)
    plain = listening(sample, 5, text).sample
    told = make_brushnet()(sample, torch.tensor(5), noise(2, 5, 8, 8, seed=1), torch.ones(2))
    listening(sample, 5, text, added_cond_kwargs={"brushnet_residuals": [*told, told[0]]})
    assert torch.equal(listening(sample, 5, text).sample, plain)


@pytest.mark.parametrize(
    ("about", "steps"),
    [
        ({}, [True] * 4),
        ({"scale": 0.0}, [False] * 4),
        ({"start": 0.5}, [False, False, True, True]),
        ({"end": 0.5}, [True, True, False, False]),
        ({"start": 0.3, "end": 0.8}, [False, False, True, False]),
    ],
    ids=str,
)
def test_it_counts_in_the_steps_between_start_and_end(about: dict[str, float], steps: list[bool]) -> None:
    heard: list[bool] = []

    def unet(_sample: Tensor, _timestep: int, **given: Any) -> None:
        heard.append("brushnet_residuals" in (given.get("added_cond_kwargs") or {}))

    work = Brushwork(net=make_brushnet(), ref=BrushNet.model_validate({"model": "x", **about}), seen=noise(1, 5, 8, 8))
    brushed = BrushedUnet(unet, work, lambda _: 4)
    for timestep in (900, 600, 300, 0):
        brushed(noise(2, 4, 8, 8), timestep, encoder_hidden_states=noise(2, 77, HIDDEN))
    assert heard == steps


def test_the_xl_unet_keeps_the_conditions_it_is_given_beside() -> None:
    with seeded(0):
        unet = make_xl_unet()
    state = brush_state(unet)
    state.activate(unet)
    sample, text = noise(2, 4, 8, 8), noise(2, 77, HIDDEN + HIDDEN_2, seed=2)
    conditions = {"text_embeds": noise(2, HIDDEN_2), "time_ids": torch.arange(12.0).reshape(2, 6)}
    work = Brushwork(
        net=make_brushnet(tiny_brushnets.XL, is_trained=False),
        ref=BrushNet(model="x"),
        seen=noise(1, 5, 8, 8),
    )
    made = BrushedUnet(unet, work, lambda _: 1)(sample, 5, encoder_hidden_states=text, added_cond_kwargs=conditions)
    assert torch.equal(made.sample, unet(sample, 5, text, added_cond_kwargs=conditions).sample)
    state.deactivate(unet)
