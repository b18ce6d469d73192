"""How parameters start, with the reasons."""

import torch
from torch import Tensor, nn


def initialize_linear(linear: nn.Linear) -> None:
    """Glorot-uniform weights, which keep the variance (Glorot & Bengio 2010, eq. 16)."""
    nn.init.xavier_uniform_(linear.weight)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)


def initialize_gates(weight_input: Tensor, weight_hidden: Tensor, num_gates: int) -> None:
    """Each gate by itself: Glorot-uniform from the input, orthogonal from the state.

    An orthogonal recurrent matrix neither shrinks nor blows up what passes through it many times
    (Saxe 2014). The gates are drawn one by one: drawn together, their joint matrix would be
    orthogonal and each gate's own would not.
    """
    for gate in weight_input.chunk(num_gates):
        nn.init.xavier_uniform_(gate)
    for gate in weight_hidden.chunk(num_gates):
        nn.init.orthogonal_(gate)


def initialize_embedding(embedding: nn.Embedding) -> None:
    """Vectors of length about 1, so that a tied output projection starts with logits near 0."""
    nn.init.normal_(embedding.weight, std=embedding.embedding_dim**-0.5)
    if embedding.padding_idx is not None:
        with torch.no_grad():
            embedding.weight[embedding.padding_idx].zero_()
