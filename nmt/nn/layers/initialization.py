"""How parameters start, with the reasons."""

from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


def initialize_linear(linear: nn.Linear) -> nn.Linear:
    """Draw Glorot-uniform weights, which keep the variance (Glorot & Bengio 2010, eq. 16)."""
    nn.init.xavier_uniform_(linear.weight)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
    return linear


def initialize_input_gates(weight: Tensor, num_gates: int) -> None:
    """Glorot-uniform for each gate by itself, what it reads being an input, a context or another.

    Drawn together, the gates would count as one layer that is `num_gates` times as wide, and each
    of them would start too small.
    """
    for gate in weight.chunk(num_gates):
        nn.init.xavier_uniform_(gate)


def initialize_hidden_gates(weight: Tensor, num_gates: int) -> None:
    """Orthogonal for each gate by itself.

    An orthogonal recurrent matrix neither shrinks nor blows up what passes through it many times
    (Saxe 2014). Drawn together, the joint matrix would be orthogonal and no gate's own would.
    """
    for gate in weight.chunk(num_gates):
        nn.init.orthogonal_(gate)


class WithoutNormal(TorchFunctionMode):
    """A context without `normal_`, whose version for the device "meta" takes seconds to import."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, unless it is that one."""
        kwargs = kwargs or {}
        return kwargs["tensor"] if func is nn.init.normal_ else func(*args, **kwargs)
