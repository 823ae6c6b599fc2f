"""A prompt as one text encoder gets it."""

from torch import Tensor

from engine.diffusion.clip_encoder import ClipEncoder
from engine.diffusion.embeddings import Embedding
from engine.diffusion.prompt_chunks import Word, fill_chunks, read_words
from engine.diffusion.prompt_source import PromptSource


class PreparedPrompt:
    """Chunks, and the vectors that ids below 0 in them stand for."""

    def __init__(self, encoder: ClipEncoder, source: PromptSource, embeddings: list[Embedding]) -> None:
        self.encoder = encoder
        self.vectors: list[Tensor] = []
        ids: dict[str, tuple[int, ...]] = {}
        for embedding in embeddings:
            rows = list(embedding.vectors(encoder.role, encoder.width))
            ids[embedding.name] = tuple(-1 - at for at in range(len(self.vectors), len(self.vectors) + len(rows)))
            self.vectors += rows
        sections: list[list[Word]] = []
        for pieces in source.sections:
            sections.append([])
            for piece in pieces:
                if piece.is_embedding:
                    sections[-1].append(Word(ids[piece.said], piece.weight))
                else:
                    sections[-1].extend(read_words(piece.said, encoder.tokenizer, piece.weight))
        filled = fill_chunks(sections, encoder.tokenizer, encoder.length)
        self.chunks = filled.chunks
        self.is_truncated = filled.is_truncated
