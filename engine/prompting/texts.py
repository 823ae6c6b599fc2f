"""The texts that one prompt has become: what is encoded."""

from dataclasses import dataclass

from engine.prompting.lines import joined
from protocol.prompting import PromptSyntax


@dataclass(frozen=True, slots=True)
class PromptTexts:
    """One prompt as a model reads it.

    Attributes:
        texts: at least one; each is encoded on its own, and the results stand one behind the other.
        syntax: of all of them.
        told: how many of them, from the first on, the pooled vector tells of; those behind are words of quality.
    """

    texts: tuple[str, ...]
    syntax: PromptSyntax
    told: int

    @property
    def whole(self) -> str:
        """All of it as one text."""
        return self.texts[0] if len(self.texts) == 1 else joined(self.texts)

    @property
    def says_something(self) -> bool:
        return any(text.strip() for text in self.texts)


def one_text(text: str) -> PromptTexts:
    """A prompt in the syntax of A1111."""
    return PromptTexts((text,), PromptSyntax.A1111, told=1)


def separate_texts(texts: tuple[str, ...], *, unpooled: tuple[str, ...] = ()) -> PromptTexts:
    """A prompt in the syntax of Fooocus.

    Args:
        texts: none says the same as an empty one.
        unpooled: behind them, and no part of the pooled vector.
    """
    said = texts or ("",)
    return PromptTexts((*said, *unpooled), PromptSyntax.FOOOCUS, told=len(said))
