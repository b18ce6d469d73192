"""Optimizers of torch, with the options of a configuration."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import nn

from nmt.training.optim.optimizer import (
    Decay,
    Optimizer,
    Rates,
    StepSize,
    WeightDecay,
    parameter_groups,
)

Epsilon = Annotated[float, Ge(1e-30), Le(1)]


class _AdamOptions(Optimizer):
    """The options of Adam for the class of torch that comes next among the bases.

    Attributes:
        kernel: selects torch's implementation of the step.
    """

    state_keys = ("step", "exp_avg", "exp_avg_sq")
    rates = Rates(1e-5, 1e-3, 2e-2)
    kernel: ClassVar[Mapping[str, bool]] = {"fused": True}

    def __init__(
        self,
        model: nn.Module,
        *,
        learning_rate: StepSize = 1e-3,
        beta1: Decay = 0.9,
        beta2: Decay = 0.999,
        epsilon: Epsilon = 1e-8,
    ) -> None:
        groups, betas = parameter_groups(model, weight_decay=0.0), (beta1, beta2)
        super().__init__(groups, lr=learning_rate, betas=betas, eps=epsilon, **self.kernel)  # type: ignore[call-arg, arg-type]


class Adam(_AdamOptions, torch.optim.Adam):
    """Adam (Kingma & Ba 2015, algorithm 1).

    Args:
        model: whose parameters are trained.
        learning_rate: the step size; the schedule multiplies it.
        beta1: decay of the mean of the gradient.
        beta2: decay of the mean of its square.
        epsilon: added to the denominator.
    """


class AdamW(Optimizer, torch.optim.AdamW):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2).

    Args:
        model: whose parameters are trained.
        learning_rate: the step size; the schedule multiplies it.
        beta1: decay of the mean of the gradient.
        beta2: decay of the mean of its square.
        epsilon: added to the denominator.
        weight_decay: share of a weight taken off at each step, times the learning rate.
    """

    state_keys = _AdamOptions.state_keys
    rates = _AdamOptions.rates

    def __init__(
        self,
        model: nn.Module,
        *,
        learning_rate: StepSize = 1e-3,
        beta1: Decay = 0.9,
        beta2: Decay = 0.999,
        epsilon: Epsilon = 1e-8,
        weight_decay: WeightDecay = 0.01,
    ) -> None:
        groups, betas = parameter_groups(model, weight_decay), (beta1, beta2)
        super().__init__(groups, lr=learning_rate, betas=betas, eps=epsilon, fused=True)


class RAdam(_AdamOptions, torch.optim.RAdam):
    """Adam with a rectified warm-up (Liu 2020, algorithm 2).

    Args:
        model: whose parameters are trained.
        learning_rate: the step size; the schedule multiplies it.
        beta1: decay of the mean of the gradient.
        beta2: decay of the mean of its square.
        epsilon: added to the denominator.
    """

    kernel: ClassVar[Mapping[str, bool]] = {}  # torch has no fused step for it


class Adadelta(Optimizer, torch.optim.Adadelta):
    """Adadelta (Zeiler 2012, algorithm 1), as in Bahdanau 2015, appendix B.2.

    Args:
        model: whose parameters are trained.
        learning_rate: factor on the step; the schedule multiplies it.
        rho: decay of the means of squared gradients and squared steps.
        epsilon: added to these means.
    """

    state_keys = ("step", "square_avg", "acc_delta")

    def __init__(
        self,
        model: nn.Module,
        *,
        learning_rate: StepSize = 1.0,
        rho: Decay = 0.95,
        epsilon: Epsilon = 1e-6,
    ) -> None:
        groups = parameter_groups(model, weight_decay=0.0)
        super().__init__(groups, lr=learning_rate, rho=rho, eps=epsilon)


class SGD(Optimizer, torch.optim.SGD):
    """Stochastic gradient descent, as in Luong 2015, section 4.1.

    Args:
        model: whose parameters are trained.
        learning_rate: the step size; the schedule multiplies it.
        momentum: share of the last step that is repeated.
        weight_decay: strength of the L2 penalty.
    """

    state_keys = ("momentum_buffer",)
    rates = Rates(1e-3, 0.5, 10.0)

    def __init__(
        self,
        model: nn.Module,
        *,
        learning_rate: StepSize = 1.0,
        momentum: Decay = 0.0,
        weight_decay: WeightDecay = 0.0,
    ) -> None:
        groups = parameter_groups(model, weight_decay)
        super().__init__(groups, lr=learning_rate, momentum=momentum, fused=True)
        start_momenta(self)


def start_momenta(optimizer: torch.optim.Optimizer) -> None:
    """Initialise the momenta of SGD, if it uses momentum, to zero.

    The fused step cannot make those of parameters whose first gradient comes later.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"] if group.get("momentum", 0.0) > 0.0 else ():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
