"""Lion (Chen 2023, algorithm 2): steps of one size, in the direction of the momentum."""

from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt
from torch import nn

from nmt.training.optim.optimizer import Optimizer, parameter_groups


class Lion(Optimizer):
    """Sign of an average of momentum and gradient.

    Args:
        model: whose parameters are trained.
        learning_rate: the step size; the schedule multiplies it.
        beta1: share of the momentum in the direction of a step.
        beta2: decay of the momentum.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        learning_rate: Annotated[float, Gt(0.0)] = 3e-4,
        beta1: Annotated[float, Ge(0.0), Lt(1.0)] = 0.9,
        beta2: Annotated[float, Ge(0.0), Lt(1.0)] = 0.99,
    ) -> None:
        defaults = {"lr": learning_rate, "beta1": beta1, "beta2": beta2}
        super().__init__(parameter_groups(model, weight_decay=0.0), defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Make one step."""
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"]
                direction = torch.lerp(gradient, momentum, group["beta1"]).sign()
                parameter.sub_(group["lr"] * direction)
                momentum.lerp_(gradient, 1 - group["beta2"])
