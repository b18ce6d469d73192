# own_score.py
from torch import Tensor, cdist, nn

from nmt.nn.attention.scores.score import Score


class Distance(Score):
    """Negative distance between the decoder state and a projection of each source state."""

    def __init__(self, query_size: int, key_size: int, *, sharpness: float = 1.0) -> None:
        super().__init__()
        self.sharpness = sharpness
        self.projection = nn.Linear(key_size, query_size)

    def keys(self, inputs: Tensor) -> Tensor:
        return self.projection(inputs)

    def forward(self, query: Tensor, keys: Tensor, state: Tensor | None = None) -> Tensor:
        return -self.sharpness * cdist(query, keys)
