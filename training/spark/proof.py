"""The proof: fixed prompts and seeds through the exported folder, judged by a classifier that has seen only icons.

A picture is right when the object is the one that was asked for and, if a colour was, the colour too. Where an icon's
own colour is what was asked for (a red heart), both answers of the judge are accepted.
"""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.spark.judge import Verdict, judge_pictures
from training.spark.pipeline import generate
from training.spark.sheet import contact_sheet
from training.spark.sprites import Sprites
from training.spark.words import BACKGROUNDS, COLOURS, NOUNS

PROMPTS_FILE = Path(__file__).with_name("proof.json")
SAME_COLOUR = 30.0
"""Mean difference of two sprites' visible pixels (0..255) below which they are the same colour to the eye."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prompt:
    """One fixed request and what its picture must show.

    Attributes:
        noun: first name of a noun.
        colour: a colour word, or None when the prompt asks for none.
        background: a background word, "white" when the prompt names none.
        held_out: whether this pair of colour and noun was kept out of training.
    """

    prompt: str
    seed: int
    noun: str
    colour: str | None
    background: str
    held_out: bool


@dataclass(frozen=True)
class Result:
    """How one picture was judged."""

    prompt: Prompt
    seen_noun: str
    seen_colour: str | None
    noun_right: bool
    colour_right: bool
    background_right: bool

    @property
    def right(self) -> bool:
        return self.noun_right and self.colour_right


@dataclass(frozen=True)
class Figures:
    """Shares of right pictures, 0..1."""

    count: int
    both: float
    noun: float
    colour: float
    background: float


def read_prompts() -> list[Prompt]:
    """The committed prompts: a hundred pairs seen in training, then thirty kept out of it."""
    return [Prompt(**row) for row in json.loads(PROMPTS_FILE.read_text(encoding="utf-8"))]


def prove(pipeline: Any, judge: torch.nn.Module, sprites: Sprites) -> tuple[list[Result], torch.Tensor]:
    """Generate and judge all prompts; the pictures are (N, 3, 64, 64) in [0, 1]."""
    prompts = read_prompts()
    pictures = generate(pipeline, [prompt.prompt for prompt in prompts], [prompt.seed for prompt in prompts])
    verdicts = judge_pictures(judge, pictures)
    triples = zip(prompts, verdicts, pictures, strict=True)
    return [compare(prompt, verdict, picture, sprites) for prompt, verdict, picture in triples], pictures


def compare(prompt: Prompt, verdict: Verdict, picture: torch.Tensor, sprites: Sprites) -> Result:
    """Hold one picture's verdict against its prompt."""
    index = next(number for number, noun in enumerate(NOUNS) if noun.name == prompt.noun)
    colours = list(COLOURS)
    colour_right = True
    if prompt.colour is not None:
        wanted = 1 + colours.index(prompt.colour)
        colour_right = verdict.colour == wanted or (verdict.colour == 0 and own_colour_is(sprites, index, wanted))
    return Result(
        prompt,
        seen_noun=NOUNS[verdict.noun].name,
        seen_colour=colours[verdict.colour - 1] if verdict.colour else None,
        noun_right=verdict.noun == index,
        colour_right=colour_right,
        background_right=background_of(picture) == prompt.background,
    )


def own_colour_is(sprites: Sprites, noun: int, variant: int) -> bool:
    """Whether the icon as it is has the colour of `variant` already."""
    own, coloured = (sprites.pixels[noun, number].astype(np.float32) for number in (0, variant))
    visible = own[..., 3] > 127
    return float(np.abs(own[visible] - coloured[visible]).mean()) < SAME_COLOUR


def background_of(picture: torch.Tensor) -> str:
    """The background word nearest to the median colour of a picture's corners.

    Args:
        picture: (3, H, W), RGB in [0, 1].
    """
    corners = torch.cat(
        [picture[:, y, x].reshape(3, -1) for y in (slice(3), slice(-3, None)) for x in (slice(3), slice(-3, None))], 1
    )
    seen = corners.median(dim=1).values.numpy() * 255
    distances = {name: float(np.square(seen - np.array(rgb)).sum()) for name, rgb in BACKGROUNDS.items()}
    return min(distances, key=lambda name: distances[name])


def figures(results: list[Result]) -> Figures:
    """Sum up at least one result; the colour figure counts only prompts that ask for one."""
    coloured = [result for result in results if result.prompt.colour is not None]
    return Figures(
        count=len(results),
        both=_share([result.right for result in results]),
        noun=_share([result.noun_right for result in results]),
        colour=_share([result.colour_right for result in coloured]),
        background=_share([result.background_right for result in results]),
    )


def report(
    results: list[Result], pictures: torch.Tensor, judge_accuracy: tuple[float, float], *, sheet: Path | None, out: Path
) -> dict[str, Any]:
    """Write the figures with every verdict to `out`, and the contact sheet to `sheet`; return the figures."""
    seen = [result for result in results if not result.prompt.held_out]
    kept_out = [result for result in results if result.prompt.held_out]
    summary = {
        "judge": {"noun": judge_accuracy[0], "colour": judge_accuracy[1]},
        "seen": asdict(figures(seen)),
        "held_out": asdict(figures(kept_out)),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({**summary, "results": [asdict(result) for result in results]}, indent=1) + "\n")
    if sheet is not None:
        sheet.parent.mkdir(parents=True, exist_ok=True)
        labels = [result.prompt.prompt for result in results]
        # In full colour: a palette would make the pictures look cleaner than they are.
        contact_sheet(pictures, labels, wrong=[not result.right for result in results]).save(sheet, optimize=True)
    for result in results:
        if not result.right:
            logger.info("wrong: %s -> %s %s", result.prompt.prompt, result.seen_colour or "", result.seen_noun)
    logger.info("%s", json.dumps(summary, indent=1))
    return summary


def _share(flags: list[bool]) -> float:
    return sum(flags) / len(flags)
