"""Several models that write together."""

from collections.abc import Sequence
from typing import Literal, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nmt.core.batch import Batch
from nmt.core.coverage import Coverage
from nmt.nn.decoders.interface import DecoderState
from nmt.nn.model import Model, ModelOutput, Projection
from nmt.nn.shapes import Lengths, Source

Space = Literal["log", "linear"]


class Ensemble(nn.Module):
    """Models over one vocabulary, whose probabilities are averaged at each step.

    They may differ in everything else: size, cells, attention. It has the functions of a `Model`
    by which one translates, with a tuple of the states of its members for a state.

    Args:
        models: at least one.
        space: `linear` averages probabilities. `log` averages log-probabilities and normalises them
            again: what one member holds to be impossible is so.
    """

    def __init__(self, models: Sequence[Model], *, space: Space = "linear") -> None:
        super().__init__()
        assert models
        self.members = nn.ModuleList(models)
        self.space = space

    @property
    def models(self) -> list[Model]:
        """The members."""
        return [cast(Model, member) for member in self.members]

    @property
    def has_attention(self) -> bool:
        """Whether any member has attention."""
        return any(model.has_attention for model in self.models)

    def quantize(self) -> None:
        """Go over to weights of 8 bits in every member."""
        for model in self.models:
            model.quantize()

    def read(
        self, source: Source, lengths: Lengths, *, with_coverage: bool = False
    ) -> tuple[DecoderState, ...]:
        """Encode the source with each member, and be ready for the first word."""
        return tuple(
            model.read(source, lengths, with_coverage=with_coverage) for model in self.models
        )

    def forward(self, batch: Batch) -> ModelOutput:
        """Teacher forcing: averaged log-probabilities for logits, and the mean of the weights."""
        outputs = [model(batch) for model in self.models]
        return ModelOutput(
            self._average([output.logits for output in outputs]),
            self._mean_over_attending([output.weights for output in outputs]),
        )

    def restrict(self, tokens: Int[Tensor, " U"]) -> tuple[Projection, ...]:
        """Return the projections to these words only."""
        return tuple(model.restrict(tokens) for model in self.models)

    def step(
        self,
        tokens: Int[Tensor, " N"],
        state: tuple[DecoderState, ...],
        *,
        projection: tuple[Projection, ...] | None = None,
        allowed: Bool[Tensor, "N V"] | None = None,
    ) -> tuple[Float[Tensor, "N V"], tuple[DecoderState, ...]]:
        """One word further: log-probabilities (float32) of the next one, and the new states.

        The arguments are those of `Model.step`, with a projection for each member.
        """
        projections = projection or [None] * len(self.models)
        steps = [
            model.step(tokens, before, projection=part, allowed=allowed)
            for model, before, part in zip(self.models, state, projections, strict=True)
        ]
        averaged = self._average([log_probabilities for log_probabilities, _ in steps])
        return averaged, tuple(after for _, after in steps)

    def coverage(self, state: tuple[DecoderState, ...]) -> Coverage:
        """The mean of what the attention of the members that look anywhere has done."""
        parts = [model.coverage(part) for model, part in zip(self.models, state, strict=True)]
        return Coverage(
            self._mean_over_attending([part.seen for part in parts]),
            self._mean_over_attending([part.again for part in parts]),
        )

    def _average(self, logits: list[Tensor]) -> Tensor:
        log_probabilities = torch.stack([part.float().log_softmax(dim=-1) for part in logits])
        if self.space == "log":
            return log_probabilities.mean(dim=0).log_softmax(dim=-1)
        return log_probabilities.logsumexp(dim=0) - torch.tensor(float(len(logits))).log()

    def _mean_over_attending(self, parts: list[Tensor]) -> Tensor:
        """Average over the members with attention; over all, where none has any."""
        attending = [
            part for model, part in zip(self.models, parts, strict=True) if model.has_attention
        ]
        return torch.stack(attending or parts).mean(dim=0)
