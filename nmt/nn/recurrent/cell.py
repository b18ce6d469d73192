"""The interface of recurrent cells, and the loops that run a cell over a sequence.

A cell has two parts. `project` computes what depends on the inputs only, for all steps at once, and
`forward` computes one step. The whole state of a cell is one tensor `[B Z]`.
`Cell.unroll` is the plain loop over steps. Others may replace it: an autograd node with derivatives
by hand (docs/fused.md), the scan of an `elementwise.py` cell, and one loop of an exported graph.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nmt.nn.fused.fast_path import FastPath
from nmt.nn.int8 import Int8Weight
from nmt.nn.layers import addmm, addmm_, initialize_gates, weight_gradient
from nmt.nn.shapes import Gates, Hidden, State, StepMask, Steps

_BLOCK_SIZE: Final = 4


class Cell(FastPath, nn.Module, ABC):
    """One recurrent layer in one direction.

    Args:
        input_size: I, size of an input.
        hidden_size: H, size of an output.
        num_gates: blocks of H rows in the weights; G is `num_gates` times H.
        state_size: Z, size of the state.

    Attributes:
        is_plain: whether the cell has no gates, and so needs a lower learning rate.
        gate_names: names of the vectors that `gate_values` returns.
        kept_gate: name of the gate that says how much of the state is kept; None: no such gate.
        is_elementwise: whether no unit reads another unit of the state, so that there is no product
            with the hidden state.
        gates_read_state: whether the gates read the state; if not, recurrent dropout does nothing.
        fast_path: what runs whole sequences as one autograd node; None: the plain loop runs.
    """

    is_plain: ClassVar[bool] = False
    gate_names: ClassVar[tuple[str, ...]] = ()
    kept_gate: ClassVar[str | None] = None
    is_elementwise: ClassVar[bool] = False
    gates_read_state: ClassVar[bool] = True
    fast_path: Any = None

    def __init__(self, input_size: int, hidden_size: int, num_gates: int, state_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.num_gates = num_gates
        self.gate_size = num_gates * hidden_size
        self.state_size = state_size
        self.weight_input = nn.Parameter(torch.empty(self.gate_size, input_size))
        initialize_gates(self.weight_input, num_gates, nn.init.xavier_uniform_)
        if not self.is_elementwise:
            self.weight_hidden = nn.Parameter(torch.empty(self.gate_size, hidden_size))
            initialize_gates(self.weight_hidden, num_gates, nn.init.orthogonal_)
        self.bias_input = nn.Parameter(torch.zeros(self.gate_size))
        if not self.is_elementwise:
            self.bias_hidden = nn.Parameter(torch.zeros(self.gate_size))

    @classmethod
    def has_dropout(cls, options: Mapping[str, Any]) -> bool:
        """Return whether the cell, with these options, draws random numbers in training."""
        return False

    @property
    def tape(self) -> "StartsTape | None":
        """Return what starts a tape of this cell for a fused decoder; None: there is none."""
        tape: StartsTape | None = self.fast_path
        return tape

    def project(self, inputs: Float[Tensor, "*N I"]) -> Float[Tensor, "*N G"]:
        """Return what the inputs add to the gates."""
        return _linear(inputs, self.weight_input, self.bias_input)

    def project_hidden(self, hidden: Hidden, dropout_mask: Hidden | None) -> Gates:
        """Return what the state adds to the gates."""
        dropped = hidden if dropout_mask is None else hidden * dropout_mask
        return _linear(dropped, self.weight_hidden, self.bias_hidden)

    def gates_from(self, size: int) -> nn.Module:
        """Return a layer from `[*N size]` to `[*N G]` for a further input to the gates."""
        layer = nn.Linear(size, self.gate_size, bias=False)
        initialize_gates(layer.weight, self.num_gates, nn.init.xavier_uniform_)
        return layer

    @abstractmethod
    def forward(self, projected: Gates, state: State, dropout_mask: Hidden | None = None) -> State:
        """Return the next state.

        Args:
            projected: what the inputs add to the gates.
            state: before the step.
            dropout_mask: of recurrent dropout; multiplies the hidden state that the gates read.
        """

    def gate_values(
        self, projected: Gates, state: State, dropout_mask: Hidden | None = None
    ) -> tuple[Hidden, ...]:
        """Return the gates and the candidate of a step; arguments as of `forward`."""
        return ()

    def hidden(self, state: Float[Tensor, "*N Z"]) -> Float[Tensor, "*N H"]:
        """Return the part of a state that gates, attention and the next layer read."""
        return state

    def unroll(
        self,
        projected: Steps,
        state: State,
        mask: StepMask | None = None,
        dropout_mask: Hidden | None = None,
    ) -> Float[Tensor, "B T Z"]:
        """Return the states after each step; a masked step keeps the state."""
        if torch.compiler.is_exporting():
            if projected.shape[1] != 1:
                return _unroll_in_graph(self, projected, state, mask, dropout_mask)
        elif self.tape is not None and dropout_mask is None:
            return _unroll_fused(self, self.tape, projected, state, mask)
        states = []
        for step in range(projected.shape[1]):
            after = self(projected[:, step], state, dropout_mask)
            state = after if mask is None else torch.where(mask[:, step, None], after, state)
            states.append(state)
        return torch.stack(states, dim=1)


def _linear(
    inputs: Float[Tensor, "*R K"], weight: Tensor | Int8Weight, bias: Float[Tensor, " N"]
) -> Float[Tensor, "*R N"]:
    """Return ``W x + b`` for a float or 8-bit weight."""
    if isinstance(weight, Int8Weight):
        return weight.multiply(inputs, bias)
    return nn.functional.linear(inputs, weight, bias)


def _unroll_in_graph(
    cell: Cell, projected: Steps, state: State, mask: StepMask | None, dropout_mask: Hidden | None
) -> Float[Tensor, "B T Z"]:
    """Run a cell as one loop of an exported graph, for any number of steps."""
    from torch._higher_order_ops.scan import scan  # for the exporter only

    if mask is None:
        mask = projected.new_ones(projected.shape[:2], dtype=torch.bool)

    def step(before: Tensor, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        gates, is_real = inputs
        after = torch.where(is_real.unsqueeze(1), cell(gates, before, dropout_mask), before)
        return after, after.clone()

    steps = projected.transpose(0, 1), mask.transpose(0, 1)
    states: Tensor = scan(step, state, steps)[1]
    return states.transpose(0, 1)


@runtime_checkable
class StartsTape(Protocol):
    """The class of a tape, or an object that starts a tape."""

    def start(self, num_steps: int, state: State) -> "CellTape":
        """Return an empty tape for `num_steps` steps from `state`."""


class CellTape(ABC):
    """Cell steps with hand-written derivatives: `step` saves what `backward` needs.

    Its tensors are time-major (docs/fused.md).

    Args:
        states: `[T+1 B Z]`, the state before each step, and after the last.
        saved: further tensors that each step saves.

    Attributes:
        state_width: Z in units of H.
        saved_widths: the last dimension of each of `saved`, in units of H.
    """

    state_width: ClassVar[int]
    saved_widths: ClassVar[tuple[int, ...]]

    def __init__(self, states: Float[Tensor, "T1 B Z"], *saved: Float[Tensor, "T B _"]) -> None:
        self.states = states
        self.size = states.shape[2] // self.state_width
        self.hidden = states[..., : self.size]  # what gates and queries read of the states
        self.tensors = states, *saved  # what to save for the backward pass
        self._block_start = len(states)
        self._block: tuple[Tensor, ...] = ()

    @classmethod
    def start(cls, num_steps: int, state: State) -> "CellTape":
        """Return an empty tape for `num_steps` steps from `state`."""
        batch, state_size = state.shape
        size = state_size // cls.state_width
        states = state.new_empty(num_steps + 1, batch, state_size)
        states[0] = state
        widths = cls.saved_widths
        return cls(states, *(state.new_empty(num_steps, batch, n * size) for n in widths))

    @abstractmethod
    def step(self, t: int, inputs: Gates, hidden: Gates) -> State:
        """Return the state after step t.

        Args:
            t: the step.
            inputs: x, what the inputs add to the gates.
            hidden: u, what the hidden state adds to the gates.
        """

    @abstractmethod
    def backward(self, t: int, d_after: State, d_inputs: Gates, d_hidden: Gates) -> State:
        """Backpropagate through step t; call it from the last step to the first.

        Args:
            t: the step.
            d_after: gradient of the state after the step.
            d_inputs: filled with the gradient of x.
            d_hidden: filled with the gradient of u.

        Returns:
            The gradient of the state before the step, except through u; a new tensor.
        """

    @abstractmethod
    def _factors_of(self, steps: slice) -> tuple[Tensor, ...]:
        """Return the gradient factors of some steps that only depend on the tape."""

    def _factors(self, t: int) -> tuple[Tensor, ...]:
        """Return the factors of step t, computed in blocks: faster than steps, smaller than all."""
        if t < self._block_start:
            self._block = ()
            self._block_start = max(0, t + 1 - _BLOCK_SIZE)
            self._block = self._factors_of(slice(self._block_start, t + 1))
        return tuple(factor[t - self._block_start] for factor in self._block)


def _unroll_fused(
    cell: Cell, tape: StartsTape, projected: Steps, state: State, mask: StepMask | None
) -> Float[Tensor, "B T Z"]:
    """Run a cell as one autograd node: the fast path of `Cell.unroll` (docs/fused.md).

    The backward loop only carries the gradient of the state and keeps the gradients of the gates.
    One product over all steps turns them into the weight gradient. Under autocast everything runs
    in the precision of `projected`.
    """
    steps = projected.transpose(0, 1).contiguous()
    real = None if mask is None else mask.t().unsqueeze(-1)
    given = (state, cell.weight_hidden, cell.bias_hidden, real)
    converted = [None if tensor is None else tensor.to(projected.dtype) for tensor in given]
    with torch.autocast(projected.device.type, enabled=False):
        states: Tensor = _FusedUnroll.apply(tape, steps, *converted)  # type: ignore[no-untyped-call]
    return states.transpose(0, 1)


class _FusedUnroll(Function):
    """Autograd function of `_unroll_fused`; time-major: `[T B G]` in, `[T B Z]` out."""

    @staticmethod
    def forward(ctx: Any, tape: StartsTape, steps: Tensor, *given: Any) -> Tensor:
        state, weight, bias, real = given
        cell = tape.start(len(steps), state)
        transposed = weight.t()
        for t, step in enumerate(steps):
            # u = h U^T + b
            after = cell.step(t, step, addmm(bias, cell.hidden[t], transposed))
            if real is not None:
                # s' = s + m * (cell(s) - s)
                torch.lerp(cell.states[t], after, real[t], out=after)
        ctx.cell_tape = type(cell)
        ctx.save_for_backward(*cell.tensors, weight, real)
        return cell.states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *saved, weight, real = ctx.saved_tensors
        (d_states,) = gradients
        cell: CellTape = ctx.cell_tape(*saved)
        d_inputs = weight.new_empty(*d_states.shape[:2], len(weight))
        d_hidden = torch.empty_like(d_inputs)
        d_state = torch.zeros_like(d_states[0])
        for t in range(len(d_states) - 1, -1, -1):
            d_after = d_state + d_states[t]
            # d cell(s) = d s' * m
            d_real = d_after if real is None else d_after * real[t]
            d_state = cell.backward(t, d_real, d_inputs[t], d_hidden[t])
            if real is not None:
                # d s += d s' * (1 - m)
                d_state += d_after - d_real
            # d h += d u U
            addmm_(d_state[:, : cell.size], d_hidden[t], weight)
        # d U = sum_t d u_t^T h_{t-1}, d b = sum_t d u_t
        d_weight = weight_gradient(d_hidden, cell.hidden[:-1])
        return None, d_inputs, d_state, d_weight, d_hidden.sum((0, 1)), None
