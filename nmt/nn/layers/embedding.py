"""Word vectors."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nmt.core.special_tokens import PAD
from nmt.nn.layers.dropout import Dropout


class WordEmbedding(nn.Module):
    """Looks words up, with dropout on the numbers and on whole words.

    Args:
        vocabulary_size: V.
        size: E.
        dropout: chance that one number of a vector is zeroed.
        word_dropout: chance that a whole vector is zeroed, so that the model learns not to lean on
            any one word (Sennrich 2016, WMT). The others are not scaled up: a word is there or not.
    """

    def __init__(
        self,
        vocabulary_size: int,
        size: int,
        *,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary_size, size, padding_idx=PAD)
        self.dropout = Dropout(dropout)
        self.word_dropout = word_dropout
        initialize_embedding(self.table)

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T E"]:
        """The vectors of the words. That of PAD starts at zero; whoever reads it masks it."""
        vectors: Tensor = self.table(tokens)
        if self.training and self.word_dropout > 0.0:
            kept = torch.rand(tokens.shape, device=tokens.device) >= self.word_dropout
            vectors = vectors * kept.unsqueeze(-1)
        dropped: Tensor = self.dropout(vectors)
        return dropped


def initialize_embedding(embedding: nn.Embedding) -> None:
    """Vectors of length about 1, so that a tied output projection starts with logits near 0."""
    nn.init.normal_(embedding.weight, std=embedding.embedding_dim**-0.5)
    if embedding.padding_idx is not None:
        with torch.no_grad():
            embedding.weight[embedding.padding_idx].zero_()
