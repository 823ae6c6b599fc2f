"""The classes of diffusers and transformers that spark is made of, taken as they come.

Both libraries are loosely typed, so what they make is `Any` here.
"""

from typing import Any

import diffusers
import transformers

AutoencoderKL: Any = diffusers.AutoencoderKL
AutoencoderTiny: Any = diffusers.AutoencoderTiny
UNet2DConditionModel: Any = diffusers.UNet2DConditionModel
DPMSolverMultistepScheduler: Any = diffusers.DPMSolverMultistepScheduler
StableDiffusionPipeline: Any = diffusers.StableDiffusionPipeline
CLIPTextConfig: Any = transformers.CLIPTextConfig
CLIPTextModel: Any = transformers.CLIPTextModel
CLIPTokenizer: Any = transformers.CLIPTokenizer
