"""Guidance other than the plain formula: a sharpened answer to the prompt, a weight that changes over the steps.

Stock pipelines combine the two answers of their denoiser inside their loop, as u + g (c - u): u without the prompt, c
with it, g the guidance scale. So the answer c is replaced before they see it: for a wanted result w by u + (w - u) / g,
of which the formula makes w. All of it is linear in the answers, and so holds whatever these stand for.
"""

from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor, nn

from engine.diffusion.bilateral import blurred_along
from engine.diffusion.denoiser_answers import Answers
from engine.diffusion.forward_results import first_tensor, with_first_tensor
from engine.diffusion.scope import Proceed
from engine.interface import Call
from engine.steps import await_call

SHARE_PER_SHARPNESS: Final = 0.001


class ShapedGuidance:
    """Of one job, around the forwards of its denoisers.

    The sharpened answer: of the noise that c stands for a share of 0.001 x sharpness x progress is blurred where the
    clean picture it expects is even; so less of that noise is taken away there, and the picture keeps more grain and
    detail. Progress rises with the timesteps, from 0 at full noise to 1. Source: Fooocus' description of its sharpness.

    The adaptive weight, for a scale above `adaptive`: progress x scale + (1 - progress) x adaptive.

    Args:
        scale: of guidance.
        sharpness: 0 changes nothing.
        adaptive: the weight to begin with; None, or one of `scale` and more, changes nothing.
        answers: of each denoiser; others are left alone.
    """

    def __init__(
        self, scale: float, *, sharpness: float, adaptive: float | None, answers: Mapping[nn.Module, Answers]
    ) -> None:
        self._scale = scale
        self._sharpness = sharpness
        self._adaptive = adaptive if adaptive is not None and adaptive < scale else None
        self._answers = answers
        self.has_acted = False
        """Whether there was a pair of answers to shape."""

    def __call__(self, module: nn.Module, given: Mapping[str, Any], proceed: Proceed) -> Any:
        result = proceed(given)
        answers = self._answers.get(module)
        pair = first_tensor(result)
        if answers is None or pair is None or len(pair) != 2 or pair.ndim != 4:
            return result
        self.has_acted = True
        shown = given["sample"] if "sample" in given else given["hidden_states"]
        # An inpainting model is shown more channels than it answers with.
        channels = min(shown.shape[1], pair.shape[1])
        shown, without, wanted = (each[:, :channels].float() for each in (shown[1:], pair[:1], pair[1:]))
        changed = pair.clone()
        changed[1:, :channels] = self._shaped(shown, without, wanted, given["timestep"], answers)
        return with_first_tensor(result, changed)

    def _shaped(self, shown: Tensor, without: Tensor, wanted: Tensor, timestep: Any, answers: Answers) -> Tensor:
        """What stands for the answer to the prompt, (1, C, H, W)."""
        progress = answers.progress(timestep)
        share = SHARE_PER_SHARPNESS * self._sharpness * progress
        if share > 0:
            noise = answers.noise(shown, wanted, timestep)
            guide = answers.clean(shown, wanted, timestep)
            blurred: Any = await_call(Call(lambda: blurred_along(noise, guide), stage="sharpen"))
            wanted = answers.with_noise_changed(wanted, share * (blurred - noise), timestep)
        if self._adaptive is not None:
            scale = progress * self._scale + (1 - progress) * self._adaptive
            wanted = without + (scale / self._scale) * (wanted - without)
        return wanted
