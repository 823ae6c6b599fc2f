"""What a client wrote, as the texts that one image of its job is made from.

In the syntax of Fooocus, in this order: the prompt is split into lines, the first of which is the main one; wildcards
get a line of their file, in the main line, the negative prompt and the other lines; arrays in the main line get their
item; each style puts its words around the main line, as texts beside it; the other lines follow, then the words of
quality. In the syntax of A1111 there is one text, and one style is put around the other.

Source of the order: Fooocus.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from engine.diffusion.prompt_loras import take_out_loras
from engine.interface import EngineError
from engine.library import fooocus
from engine.library.foreign_paths import wildcards_of_fooocus
from engine.prompting.arrays import pick_items
from engine.prompting.expansion import expanded
from engine.prompting.lines import joined, split_lines
from engine.prompting.styles import PLACEHOLDER, Style, StyleBook, Styles, UnknownStyle, is_named
from engine.prompting.texts import PromptTexts, one_text, separate_texts
from engine.prompting.wildcards import Wildcards, fill_wildcards
from protocol.errors import ErrorCode
from protocol.prompting import EXPANSION_STYLE, RANDOM_STYLE, PromptSyntax

Warn = Callable[[str, str], None]

STYLES_DIR: Final = "styles"
WILDCARDS_DIR: Final = "wildcards"
_FOOOCUS_STYLES_DIR: Final = "sdxl_styles"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPrompt:
    """What a client wrote, without what it says of LoRAs."""

    prompt: str
    negative_prompt: str = ""
    syntax: PromptSyntax = PromptSyntax.A1111
    styles: tuple[str, ...] = ()
    wildcards_in_order: bool = False

    @property
    def is_as_it_is(self) -> bool:
        """Whether every image is made from just that, with nothing to say of it."""
        return self.syntax is PromptSyntax.A1111 and not self.styles and not self.wildcards_in_order


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What one image is made from.

    Attributes:
        styles: as they are listed, with those that were drawn in the place of `Random Style`.
        expansion: the prompt with words of quality, if it got some.
    """

    positive: PromptTexts
    negative: PromptTexts
    styles: tuple[str, ...] = ()
    expansion: str | None = None


class Wordsmith:
    """What a server has to word prompts with. Any thread may call anything; it blocks.

    Args:
        styles: the style files.
        wildcard_folders: of the user's, the first first.
    """

    def __init__(self, styles: StyleBook, wildcard_folders: Sequence[Path] = ()) -> None:
        self.styles = styles
        self._wildcard_folders = tuple(wildcard_folders)

    def expand(self, written: WrittenPrompt, *, image: int, seed: int, warn: Warn) -> Wording:
        """Word one image; see `expand_prompts`. Looks at the disk, unless there is nothing to do.

        Raises:
            EngineError: `invalid_params`: a style has gone since the request was accepted.
        """
        if written.is_as_it_is:
            return as_it_is(written)
        styles = self.styles.look() if written.styles else Styles({})
        wildcards = Wildcards(self._wildcard_folders)
        try:
            return expand_prompts(written, image=image, seed=seed, styles=styles, wildcards=wildcards, warn=warn)
        except UnknownStyle as error:
            raise EngineError(ErrorCode.INVALID_PARAMS, f"styles: {error}") from None


def make_wordsmith(models_dir: Path, folders: Sequence[Path] = ()) -> Wordsmith:
    """With the styles and wildcards in our own models folder, and in those of Fooocus.

    Args:
        models_dir: our own; it may be the models folder of an installation of Fooocus.
        folders: of other programs.
    """
    others = [folder.expanduser() for folder in folders]
    homes = fooocus.homes((models_dir, *others))
    places = list(dict.fromkeys((*homes, *others)))
    named = [folder for home in homes for folder in wildcards_of_fooocus(home)]
    styles = StyleBook((models_dir / STYLES_DIR, *(place / _FOOOCUS_STYLES_DIR for place in places)))
    return Wordsmith(styles, (models_dir / WILDCARDS_DIR, *named, *(place / WILDCARDS_DIR for place in places)))


def as_it_is(written: WrittenPrompt) -> Wording:
    """Every image is made from just what was written."""
    return Wording(positive=one_text(written.prompt), negative=one_text(written.negative_prompt))


def expand_prompts(
    written: WrittenPrompt, *, image: int, seed: int, styles: Styles, wildcards: Wildcards, warn: Warn
) -> Wording:
    """Word one image of a job: the same for the same files, number and seed.

    Args:
        image: 0-based number in its job.
        seed: of the image; draws lines, styles and words.
        warn: told of `wildcard_missing`, `wildcards_cut`, `wildcards_in_order_unused`, `style_unused` and
            `lora_unused`.

    Raises:
        UnknownStyle: there is none of that name.
    """
    lots = Random(seed)  # noqa: S311 - nothing secret: a seed has to give the same picture for ever
    if written.syntax is PromptSyntax.A1111:
        if written.wildcards_in_order:
            warn(
                "wildcards_in_order_unused", "wildcards_in_order: there are wildcards in the prompt_syntax fooocus only"
            )
        return _one_text(written, styles, lots, seed, warn)

    def filled(text: str) -> str:
        at = image if written.wildcards_in_order else None
        said, tags = take_out_loras(fill_wildcards(text, wildcards, lots, at=at, warn=warn))
        for tag in tags:
            warn("lora_unused", f"prompt: <lora:{tag.name[:80]}> counts only where it is written in the prompt itself")
        return said

    main, *more = split_lines(written.prompt) or [""]
    without, *more_without = split_lines(written.negative_prompt) or [""]
    main, without = pick_items(filled(main), image), filled(without)
    more, more_without = [filled(line) for line in more], [filled(line) for line in more_without]
    chosen = _chosen(written.styles, styles, lots)
    positive = [line for style in chosen for line in style.prompt.replace(PLACEHOLDER, main).splitlines()]
    if not any(PLACEHOLDER in style.prompt for style in chosen):
        positive.insert(0, main)
    negative = [line for style in chosen for line in style.negative_prompt.splitlines()]
    expansion = _expansion(written.styles, main, seed, warn)
    return Wording(
        positive=separate_texts(_said([*positive, *more]), unpooled=() if expansion is None else (expansion,)),
        negative=separate_texts(_said([*negative, without, *more_without])),
        styles=_names(written.styles, chosen),
        expansion=expansion,
    )


def _one_text(written: WrittenPrompt, styles: Styles, lots: Random, seed: int, warn: Warn) -> Wording:
    positive, negative = written.prompt, written.negative_prompt
    chosen = _chosen(written.styles, styles, lots)
    for style in chosen:
        positive, negative = _around(positive, style.prompt), _around(negative, style.negative_prompt)
    expansion = _expansion(written.styles, positive if written.prompt.strip() else "", seed, warn)
    positive = positive if expansion is None else expansion
    names = _names(written.styles, chosen)
    return Wording(positive=one_text(positive), negative=one_text(negative), styles=names, expansion=expansion)


def _around(text: str, template: str) -> str:
    lines = [line for line in template.splitlines() if line.strip()]
    if any(PLACEHOLDER in line for line in lines):
        return joined(line.replace(PLACEHOLDER, text) for line in lines)
    return joined([text, *lines]) if lines else text


def _chosen(names: Sequence[str], styles: Styles, lots: Random) -> Sequence[Style]:
    """The styles that have templates, drawn ones among them."""
    chosen: list[Style] = []
    for name in names:
        if is_named(name, RANDOM_STYLE):
            if styles.by_key:
                chosen.append(lots.choice(list(styles.by_key.values())))
        elif not is_named(name, EXPANSION_STYLE):
            chosen.append(styles.find(name))
    return chosen


def _names(asked: Sequence[str], chosen: Sequence[Style]) -> tuple[str, ...]:
    """What was asked for, by the names it is listed under."""
    names = iter(style.name for style in chosen)
    listed = (EXPANSION_STYLE if is_named(name, EXPANSION_STYLE) else next(names, None) for name in asked)
    return tuple(name for name in listed if name is not None)


def _expansion(names: Sequence[str], prompt: str, seed: int, warn: Warn) -> str | None:
    if not any(is_named(name, EXPANSION_STYLE) for name in names):
        return None
    if not prompt.strip():
        warn("style_unused", f"styles: {EXPANSION_STYLE!r} puts words behind a prompt, and there is none")
        return None
    return expanded(prompt, seed)


def _said(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(text.strip() for text in texts if text.strip())
