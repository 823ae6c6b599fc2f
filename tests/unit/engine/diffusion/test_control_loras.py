"""What a Control-LoRA becomes over UNets that see more than latents."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import ControlNetModel

from engine.diffusion.control_loras import build_from_lora, variant_for
from engine.diffusion.inpaint_patches import PatchedEntrance
from tests.tiny_adapters import Tensors, control_lora
from tests.tiny_models import make_sdxl, seeded


def net_of(unet: Any) -> Any:
    with seeded(6):
        return ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8, 8, 8)).requires_grad_(False)


def built(tensors: Tensors, unet: Any) -> dict[str, torch.Tensor]:
    model: Any = SimpleNamespace(denoiser=unet, home=torch.device("cpu"))
    state: dict[str, torch.Tensor] = build_from_lora(tensors, model).state_dict()
    return state


@pytest.fixture
def unet() -> Any:
    return make_sdxl().unet


def test_a_control_lora_over_a_plain_unet_is_the_controlnet_it_stands_for(unet: Any) -> None:
    whole = net_of(unet)
    made = built(control_lora(whole), unet)
    assert made.keys() == whole.state_dict().keys()
    assert all(torch.allclose(made[name], tensor, atol=1e-6) for name, tensor in whole.state_dict().items())


def test_with_an_inpainting_patch_it_still_sees_latents_alone(unet: Any) -> None:
    whole = net_of(unet)
    tensors = control_lora(whole)
    expected = built(tensors, unet)
    unet.conv_in = PatchedEntrance(unet.conv_in, torch.randn(unet.conv_in.out_channels, 5, 3, 3))
    unet.register_to_config(in_channels=9)
    made = built(tensors, unet)
    assert all(torch.equal(made[name], tensor) for name, tensor in expected.items())


def test_over_an_inpainting_model_it_takes_the_weights_for_the_latents() -> None:
    inpainting = make_sdxl(is_inpaint=True).unet
    tensors = control_lora(net_of(make_sdxl().unet))
    made = built(tensors, inpainting)
    change = tensors["input_blocks.0.0.up"].flatten(1) @ tensors["input_blocks.0.0.down"].flatten(1)
    own = inpainting.conv_in.weight[:, :4]
    assert torch.allclose(made["conv_in.weight"], own + change.reshape(own.shape), atol=1e-6)


def test_the_model_keeps_its_own_weights(unet: Any) -> None:
    before = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    made = built(control_lora(net_of(unet)), unet)
    made["conv_in.weight"] += 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in unet.state_dict().items())


def test_each_model_in_memory_has_one_of_its_own(unet: Any) -> None:
    other = make_sdxl().unet
    assert variant_for(unet) == variant_for(unet)
    assert variant_for(unet) != variant_for(other)


@pytest.mark.parametrize("half", ["down", "up"])
def test_half_of_a_change_is_none(unet: Any, half: str) -> None:
    tensors = control_lora(net_of(unet))
    del tensors[f"input_blocks.1.0.in_layers.2.{half}"]
    with pytest.raises(ValueError, match=r"down_blocks\.0\.resnets\.0\.conv1\.weight is not whole"):
        built(tensors, unet)
