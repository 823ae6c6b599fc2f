"""The weighting syntaxes of prompts, as users of AUTOMATIC1111's web UI and of Fooocus type them. Imports no torch.

    (word)          1.1 times              [word]          1 / 1.1 times
    (word:1.3)      1.3 times              ((word))        nested groups multiply
    \\( \\) \\[ \\] \\\\  the character itself   BREAK           what follows begins a new chunk

No text is an error: whatever does not read as one of these is plain text. That goes for a bracket without a partner,
and for a number outside -10..10 (`(iso:100)` is the text `iso:100`, 1.1 times).

Two things the web UI knows are left in the text and reported, so that a task can say so: `AND` (prompts combined at
each step) and what changes with the steps, `[from:to:when]` and `[this|that]`. `<lora:name:0.8>` was taken out before
(`prompt_loras`).

In the syntax of Fooocus there are the rules for round brackets only, and a number is the weight itself: it does not
multiply with the groups around it. Square brackets, other backslashes, `BREAK` and `AND` are plain text there.

Source of the syntaxes: "Attention/emphasis" and "Prompt editing" in the web UI's list of features; ComfyUI's
description of weights, which Fooocus shares.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from protocol.prompting import PromptSyntax

WEIGHT_LIMIT: Final = 10.0
"""No weight is beyond plus or minus this; products of nested groups are cut here, from the outermost inwards."""
STRONGER: Final = 1.1
REPORTED_AT_MOST: Final = 8
SNIPPET_CHARS: Final = 40

_LEXEMES: Final = {
    PromptSyntax.A1111: re.compile(r"\\[()\[\]\\]|[()\[\]]|[^\\()\[\]]+|\\"),
    PromptSyntax.FOOOCUS: re.compile(r"\\[()]|[()]|[^\\()]+|\\"),
}
_NUMBER: Final = re.compile(r"\s*[+-]?(?:\d{1,8}(?:\.\d{0,16})?|\.\d{1,16})\s*", re.ASCII)
_BREAK: Final = re.compile(r"(?<![\w'-])BREAK(?![\w'-])")
_AND: Final = re.compile(r"(?<![\w'-])AND(?![\w'-])")
_PARTNERS: Final = {PromptSyntax.A1111: {")": "(", "]": "["}, PromptSyntax.FOOOCUS: {")": "("}}


@dataclass(frozen=True, slots=True)
class WeightedText:
    """A stretch of a prompt and how much it counts: 1 is as the model has it, 0 not at all."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class ParsedPrompt:
    """What a prompt says.

    Attributes:
        chunks: one, or one more for each `BREAK` with text on both sides; neighbours in a chunk differ in weight.
        ignored: syntax that was recognised, has no effect and still stands in the text; each once, shortened.
    """

    chunks: tuple[tuple[WeightedText, ...], ...]
    ignored: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The prompt without its weights, for models that take none."""
        return " ".join("".join(piece.text for piece in chunk) for chunk in self.chunks)

    @property
    def is_weighted(self) -> bool:
        """Whether it asks for more than its plain text: a weight other than 1, or chunks."""
        return len(self.chunks) > 1 or any(piece.weight != 1.0 for chunk in self.chunks for piece in chunk)


def parse_prompt(prompt: str, syntax: PromptSyntax = PromptSyntax.A1111) -> ParsedPrompt:
    """Read the weights of a prompt, in time linear in its length.

    Never raises. A prompt without brackets, backslashes and BREAK comes back as it is, in one piece of weight 1.
    """
    is_a1111 = syntax is PromptSyntax.A1111
    lexemes = _LEXEMES[syntax].findall(prompt)
    partners = _pairs(lexemes, _PARTNERS[syntax])
    ignored = _drop_step_syntax(lexemes, partners) if is_a1111 else {}
    writer = _Writer()
    weights = [1.0]
    for place, lexeme in enumerate(lexemes):
        partner = partners.get(place)
        if partner is None:
            closes_group = partners.get(place + 1, place) < place and lexemes[place + 1] == ")"
            if closes_group and _weight_at_end(lexeme) is not None:
                lexeme = lexeme.rpartition(":")[0]
            writer.write(lexeme[1:] if len(lexeme) == 2 and lexeme[0] == "\\" else lexeme, weights[-1])
        elif partner > place:
            around = weights[-1]
            product = around * _factor(lexemes, place, partner) if is_a1111 else _own_weight(lexemes, partner, around)
            weights.append(max(-WEIGHT_LIMIT, min(WEIGHT_LIMIT, product)))
        else:
            weights.pop()
    chunks = writer.finish(_BREAK if is_a1111 else None)
    if is_a1111 and any(_AND.search(piece.text) for chunk in chunks for piece in chunk):
        ignored.setdefault("AND")
    return ParsedPrompt(chunks, tuple(ignored)[:REPORTED_AT_MOST])


def _pairs(lexemes: list[str], partner_of: Mapping[str, str]) -> dict[int, int]:
    """Each bracket that has a partner -> the place of that partner, both ways."""
    partners: dict[int, int] = {}
    waiting: list[int] = []
    counts = dict.fromkeys(partner_of.values(), 0)
    for place, lexeme in enumerate(lexemes):
        if lexeme in counts:
            waiting.append(place)
            counts[lexeme] += 1
        elif counts.get(partner_of.get(lexeme, ""), 0):
            while True:  # what was opened later and is still open has lost its chance of a partner
                opened = waiting.pop()
                counts[lexemes[opened]] -= 1
                if lexemes[opened] == partner_of[lexeme]:
                    break
            partners[opened], partners[place] = place, opened
    return partners


def _drop_step_syntax(lexemes: list[str], partners: dict[int, int]) -> dict[str, None]:
    """Take square brackets that mean a change with the steps out of `partners`; returns what they said."""
    found: dict[str, None] = {}
    dropped: list[int] = []
    around: list[int] = []
    has_bar: set[int] = set()
    for place, lexeme in enumerate(lexemes):
        partner = partners.get(place)
        if partner is None:
            if "|" in lexeme and around:
                has_bar.add(around[-1])
        elif partner > place:
            around.append(place)
        else:
            around.pop()
            ends_in_number = partners.get(place - 1) is None and _has_number_at_end(lexemes[place - 1])
            if lexeme == "]" and (partner in has_bar or ends_in_number):
                dropped += (partner, place)
                # One lexeme more than the characters wanted is enough: none is empty.
                said = "".join(lexemes[partner : min(place, partner + SNIPPET_CHARS) + 1])
                found.setdefault(said if len(said) <= SNIPPET_CHARS else f"{said[: SNIPPET_CHARS - 1]}…")
    for place in dropped:
        del partners[place]
    return found


def _has_number_at_end(text: str) -> bool:
    _, colon, number = text.rpartition(":")
    return bool(colon) and _NUMBER.fullmatch(number) is not None


def _weight_at_end(text: str) -> float | None:
    """The weight that a group ending in `text` names; None if it names none, or one out of range."""
    if not _has_number_at_end(text):
        return None
    weight = float(text.rpartition(":")[2])
    return weight if -WEIGHT_LIMIT <= weight <= WEIGHT_LIMIT else None


def _factor(lexemes: list[str], opened: int, closed: int) -> float:
    if lexemes[opened] == "[":
        return 1 / STRONGER
    named = _weight_at_end(lexemes[closed - 1])
    return STRONGER if named is None else named


def _own_weight(lexemes: list[str], closed: int, around: float) -> float:
    named = _weight_at_end(lexemes[closed - 1])
    return around * STRONGER if named is None else named


class _Writer:
    """Collects text and weights into pieces, and cuts them into chunks."""

    def __init__(self) -> None:
        self._pieces: list[tuple[list[str], float]] = []

    def write(self, text: str, weight: float) -> None:
        if not text:
            return
        if not self._pieces or self._pieces[-1][1] != weight:
            self._pieces.append(([], weight))
        self._pieces[-1][0].append(text)

    def finish(self, cut: re.Pattern[str] | None) -> tuple[tuple[WeightedText, ...], ...]:
        """The chunks; a new one begins wherever `cut` stands."""
        chunks: list[list[WeightedText]] = [[]]
        for texts, weight in self._pieces:
            text = "".join(texts)
            parts = [text] if cut is None else cut.split(text)
            for number, part in enumerate(parts):
                text = part
                if number:
                    chunks.append([])
                    text = text.lstrip()
                if number < len(parts) - 1:
                    text = text.rstrip()
                if text:
                    chunks[-1].append(WeightedText(text, weight))
        if len(chunks) > 1:  # a BREAK with nothing before or after it begins nothing
            chunks = [chunk for chunk in chunks if any(piece.text.strip() for piece in chunk)] or [[]]
        return tuple(tuple(chunk) for chunk in chunks)
