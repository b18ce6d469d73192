"""Muon, with AdamW for the parameters that are not hidden matrices."""

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import nn

from nmt.training.optim.optimizer import (
    Decay,
    Optimizer,
    StepSize,
    WeightDecay,
    parameter_groups,
)


class Muon(Optimizer):
    """Momentum with orthogonalized steps (Jordan 2024), with AdamW for the other weights.

    Muon trains the matrices of cells, attention, bridge and decoder layers. AdamW trains
    embeddings, the projection to the vocabulary, and vectors.

    Args:
        model: whose parameters are trained.
        learning_rate: the step size of Muon; the schedule multiplies it.
        momentum: decay of the sum of gradients.
        weight_decay: share of a weight taken off at each step, times the learning rate.
        adamw_learning_rate: the step size of AdamW; the schedule multiplies it, too.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        learning_rate: Annotated[float, Ge(1e-30), Le(1_000)] = 0.02,
        momentum: Decay = 0.95,
        weight_decay: WeightDecay = 0.01,
        adamw_learning_rate: StepSize = 1e-3,
    ) -> None:
        hidden = hidden_matrices(model)
        others = parameter_groups(model, weight_decay)
        for group in others:
            group["params"] = [p for p in group["params"] if p not in set(hidden)]
            group["rate"] = adamw_learning_rate / learning_rate
        self._muon = torch.optim.Muon(
            hidden, lr=learning_rate, momentum=momentum, weight_decay=weight_decay
        )
        self._adamw = torch.optim.AdamW(others, lr=adamw_learning_rate, fused=True)
        super().__init__([*self._muon.param_groups, *self._adamw.param_groups], {})

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Make one step of both."""
        rules = ((self._muon, self.param_groups[:1]), (self._adamw, self.param_groups[1:]))
        for rule, groups in rules:
            rule.state, rule.param_groups = self.state, groups  # `load_state_dict` replaces them
            rule.step()  # type: ignore[no-untyped-call]


def hidden_matrices(model: nn.Module) -> list[nn.Parameter]:
    """Return the trained matrices, without embeddings and the projection to the vocabulary.

    A matrix of one row, such as the direction of the additive score, is a vector.
    """
    others = {
        parameter
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding) or name == "projection"
        for parameter in module.parameters()
    }
    trained = (p for p in model.parameters() if p.requires_grad and p.ndim == 2 and len(p) > 1)
    return [parameter for parameter in trained if parameter not in others]
