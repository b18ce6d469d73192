"""Optimizers, and one step: all-reduce gradients, clip them, and apply them if finite."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, Final

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from nmt.core.errors import ConfigError
from nmt.distributed.process_group import ProcessGroup
from nmt.system.device import to_host

ParameterGroups = list[dict[str, Any]]
# Types of options that several optimizers have.
StepSize = Annotated[float, Gt(0.0), Le(1_000)]
Decay = Annotated[float, Ge(0.0), Lt(1.0)]
WeightDecay = Annotated[float, Ge(0.0), Le(1_000)]

# Dtypes of the gradient all-reduce; the range of float16 is too small.
GRADIENT_DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_Number = Annotated[float, Ge(-1e9), Le(1e9)]  # larger ones overflow in torch
# Annotations of arguments of `torch.optim` -> types of the options.
_OPTION_TYPES: Final[dict[Any, Any]] = {
    **{bool: bool, int: int, float: _Number, float | Tensor: _Number},
    tuple[float, float]: tuple[_Number, _Number],
    tuple[float | Tensor, float | Tensor]: tuple[_Number, _Number],
}
# The learning rate has bounds; the others would let no step be made.
_NOT_OPTIONS: Final = ("lr", "capturable", "differentiable")


@dataclass(frozen=True)
class Rates:
    """Range of learning rates with which an optimizer trains well.

    Attributes:
        lowest: lowest rate that learns in reasonable time.
        usual: a good first choice.
        highest: highest rate that does not diverge; halved for plain recurrent cells, which have no
            gates.
    """

    lowest: float
    usual: float
    highest: float


class Optimizer(torch.optim.Optimizer):
    """Optimizer whose learning rate a schedule sets.

    A subclass takes the model before the `*`, and its options after it. Its other base may be any
    optimizer of torch whose step takes no closure. It keeps its state in tensors. It is not called
    for updates with gradients that are not finite.

    Attributes:
        state_keys: names of the tensors that it keeps for a parameter; None: any.
        rates: learning rates that train well; None: not known.
    """

    state_keys: tuple[str, ...] | None = None
    rates: Rates | None = None

    def __init_subclass__(cls) -> None:
        """Refuse optimizers that compute the loss themselves, or need sparse gradients."""
        closure = signature(cls.step).parameters.get("closure")
        problem = ""
        if closure is not None and closure.default is closure.empty:
            problem = "computes the loss several times in a step"
        elif issubclass(cls, torch.optim.SparseAdam):
            problem = "needs sparse gradients, and the model has none"
        if problem:
            raise ConfigError(f"{cls.__name__} {problem}; choose another optimizer, such as adam")

    @classmethod
    def adopt(cls, kind: type) -> type["Optimizer"]:
        """Return a class from outside the package as a plug-in, such as `torch.optim.NAdam`.

        Raises:
            ConfigError: it is no optimizer, or one that cannot be used.
        """
        if issubclass(kind, Optimizer):
            return kind
        if not issubclass(kind, torch.optim.Optimizer) or "lr" not in signature(kind).parameters:
            raise ConfigError(
                f"{kind.__name__} is not an optimizer with the argument lr; extend "
                f"{cls.__module__}.Optimizer"
            )
        return _wrap(kind)  # type: ignore[arg-type]  # torch redefines __hash__

    def set_learning_rate(self, value: float) -> None:
        """Set the learning rate of all following steps; groups with a `rate` multiply it."""
        for group in self.param_groups:
            group["lr"] = value * group.get("rate", 1.0)


@functools.cache
def _wrap(kind: Any) -> type[Optimizer]:
    """Return an optimizer of torch as a plug-in; its options are its numbers and flags."""
    found = signature(kind).parameters
    options = [
        Parameter("model", Parameter.POSITIONAL_OR_KEYWORD),
        found["lr"].replace(name="learning_rate", annotation=StepSize, kind=Parameter.KEYWORD_ONLY),
        *(
            option.replace(kind=Parameter.KEYWORD_ONLY, annotation=_OPTION_TYPES[option.annotation])
            for option in found.values()
            if option.annotation in _OPTION_TYPES and option.name not in _NOT_OPTIONS
        ),
    ]

    def construct(self: Any, model: nn.Module, *, learning_rate: float, **others: Any) -> None:
        groups = parameter_groups(model, others.get("weight_decay", 0.0))
        try:
            kind.__init__(self, groups, lr=learning_rate, **others)
        except ValueError as error:
            raise ConfigError(f"training.optimizer: {error}; choose another value") from None

    members = {"__init__": construct, "__signature__": Signature(options), "__doc__": kind.__doc__}
    wrapped: type[Optimizer] = type(kind.__name__, (Optimizer, kind), members)
    return wrapped


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

    Waits for the device, to know whether to skip it.

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
    if to_host(torch.isfinite(norm)):
        if clip_norm is not None:
            clip_grads_with_norm_(parameters, clip_norm, norm)
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return momenta and step counts as named tensors, for a checkpoint.

    Raises:
        ConfigError: a plug-in keeps state that is not in tensors.
    """
    tensors = {}
    for index, entries in optimizer.state_dict()["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{key}"] = value
            elif value is not None:
                raise ConfigError(
                    f"training.optimizer: {type(optimizer).__name__} keeps {key!r} as "
                    f"{type(value).__name__}, which cannot be saved; make it a tensor"
                )
    return tensors


def optimizer_shapes(optimizer: Optimizer, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that a checkpoint must have, on the meta device.

    Args:
        optimizer: holds the parameters.
        found: the saved tensors. A parameter that never had a gradient has no state.
    """
    needed: dict[str, Tensor] = {}
    for index, parameter in enumerate(
        p for group in optimizer.param_groups for p in group["params"]
    ):
        own = {name for name in found if name.partition(".")[0] == str(index)}
        if optimizer.state_keys is None:
            needed |= {name: found[name].to("meta") for name in own}
        elif own:
            for key in optimizer.state_keys:
                shape = () if key == "step" else parameter.shape
                needed[f"{index}.{key}"] = torch.empty(shape, device="meta")
    return needed


def restore_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore the result of `optimizer_tensors` in an optimizer with the same options."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
