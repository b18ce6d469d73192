"""Ensembles of models."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nmt.core.batch import Batch, combine
from nmt.core.coverage import Coverage
from nmt.nn.decoders.interface import AllowedTokens, DecoderState
from nmt.nn.model import Model, ModelOutput, Step
from nmt.nn.shapes import Lengths, Source

Space = Literal["log", "linear"]
States = tuple[DecoderState, ...]


class Ensemble(nn.Module):
    """Models over one vocabulary, whose probabilities are averaged at each step.

    They may differ in everything else: size, cells, attention. An ensemble has the methods of a
    `Model` that translation needs. Its state is the tuple of its members' states.

    Args:
        models: at least one.
        space: `linear` averages probabilities. `log` averages log-probabilities and renormalises
            them, so a token that is impossible for one member is impossible for the ensemble.
    """

    def __init__(self, models: Sequence[Model], *, space: Space = "linear") -> None:
        super().__init__()
        assert models
        self.models = list(models)
        self.members = nn.ModuleList(models)
        self.space = space

    @property
    def has_attention(self) -> bool:
        """Return whether any member has attention."""
        return any(model.has_attention for model in self.models)

    @property
    def picks_one(self) -> bool:
        """Return whether the attention of every member picks one position for each word."""
        return all(model.picks_one for model in self.models)

    def quantize(self) -> None:
        """Quantise every member to 8-bit weights."""
        for model in self.models:
            model.quantize()

    def read(
        self, source: Source, lengths: Lengths, with_coverage: bool, allowed: AllowedTokens | None
    ) -> States:
        """Encode the source with each member and return the states before the first word."""
        return tuple(
            model.read(source, lengths, with_coverage=with_coverage, allowed=allowed)
            for model in self.models
        )

    def forward(self, batch: Batch) -> ModelOutput:
        """Return averaged log-probabilities as logits, and the mean attention weights."""
        outputs = [model(batch) for model in self.models]
        return ModelOutput(
            self._average([output.logits for output in outputs]),
            self._mean_over_attending([output.weights for output in outputs]),
        )

    def step(self, tokens: Int[Tensor, " N"], state: States) -> tuple[Float[Tensor, "N V"], States]:
        """Return the log-probabilities (float32) of the next word, and the new states."""
        return self._step([model.step for model in self.models], tokens, state)

    def restrict(self, tokens: Int[Tensor, " U"]) -> Callable[..., tuple[Tensor, States]]:
        """Return `step` over these words only; they are numbered by their index in `tokens`."""
        return partial(self._step, [model.restrict(tokens) for model in self.models])

    def coverage(self, state: States) -> Coverage:
        """Return the mean of the coverage of the members that attend."""
        parts = [model.coverage(part) for model, part in zip(self.models, state, strict=True)]
        return combine(self._mean_over_attending, parts)

    def _step(
        self, steps: Sequence[Step], tokens: Int[Tensor, " N"], state: States
    ) -> tuple[Float[Tensor, "N V"], States]:
        found = [step(tokens, before) for step, before in zip(steps, state, strict=True)]
        averaged = self._average([log_probabilities for log_probabilities, _ in found])
        return averaged, tuple(after for _, after in found)

    def _average(self, logits: list[Tensor]) -> Tensor:
        log_probabilities = torch.stack([part.float().log_softmax(dim=-1) for part in logits])
        if self.space == "log":
            return log_probabilities.mean(dim=0).log_softmax(dim=-1)
        return log_probabilities.logsumexp(dim=0) - torch.tensor(float(len(logits))).log()

    def _mean_over_attending(self, parts: Sequence[Tensor]) -> Tensor:
        """Average over the members with attention, or over all members if none has attention."""
        attending = [
            part for model, part in zip(self.models, parts, strict=True) if model.has_attention
        ]
        return torch.stack(attending or list(parts)).mean(dim=0)
