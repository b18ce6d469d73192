"""Optimizers, and one step: all-reduce gradients, clip them, and apply them if finite."""

from collections.abc import Collection
from typing import Annotated, Final

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from nmt.distributed.process_group import ProcessGroup

ParameterGroups = list[dict[str, object]]

GRADIENT_DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Dtypes of the gradient all-reduce; the range of float16 is too small."""


class Optimizer(torch.optim.Optimizer):
    """A fused torch optimizer that can skip a step, controlled by a flag on the device.

    Attributes:
        found_inf: 1 to skip the next step, including the update of momenta. Fused kernels read it
            on the device, so no synchronisation is needed.
    """

    found_inf: Tensor | None = None

    def set_learning_rate(self, value: float) -> None:
        """Set the learning rate of all following steps."""
        for group in self.param_groups:
            group["lr"] = value


class Adam(Optimizer, torch.optim.Adam):
    """Adam (Kingma & Ba 2015, algorithm 1).

    Args:
        model: whose parameters are trained.
        learning_rate: the step size; the schedule multiplies it.
        beta1: decay of the mean of the gradient.
        beta2: decay of the mean of its square.
        epsilon: added to the denominator.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        learning_rate: Annotated[float, Gt(0.0), Le(1_000)] = 1e-3,
        beta1: Annotated[float, Ge(0.0), Lt(1.0)] = 0.9,
        beta2: Annotated[float, Ge(0.0), Lt(1.0)] = 0.999,
        epsilon: Annotated[float, Ge(1e-30), Le(1)] = 1e-8,
    ) -> None:
        groups, betas = parameter_groups(model, weight_decay=0.0), (beta1, beta2)
        super().__init__(groups, lr=learning_rate, betas=betas, eps=epsilon, fused=True)


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

    def __init__(
        self,
        model: nn.Module,
        *,
        learning_rate: Annotated[float, Gt(0.0), Le(1_000)] = 1e-3,
        beta1: Annotated[float, Ge(0.0), Lt(1.0)] = 0.9,
        beta2: Annotated[float, Ge(0.0), Lt(1.0)] = 0.999,
        epsilon: Annotated[float, Ge(1e-30), Le(1)] = 1e-8,
        weight_decay: Annotated[float, Ge(0.0), Le(1_000)] = 0.01,
    ) -> None:
        groups, betas = parameter_groups(model, weight_decay), (beta1, beta2)
        super().__init__(groups, lr=learning_rate, betas=betas, eps=epsilon, fused=True)


class SGD(Optimizer, torch.optim.SGD):
    """Stochastic gradient descent, as in Luong 2015, section 4.1.

    Args:
        model: whose parameters are trained.
        learning_rate: the step size; the schedule multiplies it.
        momentum: share of the last step that is repeated.
        weight_decay: strength of the L2 penalty.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        learning_rate: Annotated[float, Gt(0.0), Le(1_000)] = 1.0,
        momentum: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0,
        weight_decay: Annotated[float, Ge(0.0), Le(1_000)] = 0.0,
    ) -> None:
        groups = parameter_groups(model, weight_decay)
        super().__init__(groups, lr=learning_rate, momentum=momentum, fused=True)
        start_momenta(self)


def start_momenta(optimizer: torch.optim.Optimizer) -> None:
    """Initialise the momenta of SGD, if it uses momentum, to zero.

    Otherwise, the first step allocates them uninitialised, and leaves them so if it is skipped.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"] if group.get("momentum", 0.0) > 0.0 else ():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def parameter_groups(model: nn.Module, weight_decay: float) -> ParameterGroups:
    """Return matrices with weight decay, and vectors (biases, gains of norms) without."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.ndim >= 2]
    vectors = [parameter for parameter in trained if parameter.ndim < 2]
    groups: ParameterGroups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def all_reduce_gradients(
    group: ProcessGroup, model: nn.Module, sums: Tensor, dtype: torch.dtype = torch.float32
) -> None:
    """Replace the gradients of a model, and `sums`, by their sums over all processes.

    All gradients are reduced as one vector, in the order of the parameters, so that repeated runs
    add the same numbers in the same order. Missing gradients are zero.

    Args:
        group: the processes.
        model: the model; its gradients are already divided by the total number of tokens.
        sums: the loss sums of this process.
        dtype: dtype of the gradients in the all-reduce.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    vector = torch.cat([gradient.flatten() for gradient in gradients]).to(dtype)
    group.all_reduce(vector)
    group.all_reduce(sums)
    parts = torch.split(vector.float(), [p.numel() for p in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter)


def apply_gradients(optimizer: Optimizer, loss: Tensor, clip_norm: float | None) -> Tensor:
    """Clip the gradients, make one step, and clear them; skip the step if a value is not finite.

    Args:
        optimizer: holds the parameters.
        loss: scalar, the loss of the gradients; only checked for being finite.
        clip_norm: maximum norm of all gradients together (Pascanu 2013); None: no clipping.

    Returns:
        The norm before clipping, a scalar on the device; not finite if the step was skipped.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
    norm = norm + torch.where(torch.isfinite(loss), 0.0, torch.nan)
    if clip_norm is not None:
        clip_grads_with_norm_(parameters, clip_norm, norm)
    optimizer.found_inf = (~torch.isfinite(norm)).float()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return momenta and step counts as named tensors, for a checkpoint."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{key}": value
        for index, entries in state.items()
        for key, value in entries.items()
        if isinstance(value, Tensor)
    }


def optimizer_shapes(optimizer: Optimizer, found: Collection[str]) -> dict[str, Tensor]:
    """Return the tensors that a checkpoint must have, on the meta device.

    Args:
        optimizer: holds the parameters.
        found: names of the saved tensors. A parameter that never had a gradient has no state.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    options = optimizer.param_groups[0]
    keys = ("step", "exp_avg", "exp_avg_sq") if "betas" in options else ("momentum_buffer",)
    begun = {name.partition(".")[0] for name in found}
    return {
        f"{index}.{key}": torch.empty(() if key == "step" else parameter.shape, device="meta")
        for index, parameter in enumerate(parameters)
        for key in (keys if str(index) in begun else ())
    }


def restore_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore the result of `optimizer_tensors` in an optimizer with the same options."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
