"""GRU and LSTM without a product with the hidden state (Feng 2024)."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from nmt.nn.recurrent.elementwise import ElementwiseCell, Scan
from nmt.nn.shapes import Gates, Hidden, State


class _MinimalCell(ElementwiseCell):
    """Base class of `MinGRU` and `MinLSTM`, whose hidden state is the running average."""

    def forward(self, projected: Gates, state: State, dropout_mask: Hidden | None = None) -> State:
        """Return the next state; `dropout_mask` does nothing, as no gate reads the state."""
        logits, candidate, *_ = self.averaging(projected)
        return torch.lerp(candidate, state.to(projected.dtype), torch.sigmoid(logits))

    def gate_values(
        self, projected: Gates, state: State, dropout_mask: Hidden | None = None
    ) -> tuple[Hidden, Hidden]:
        """Return the gate that keeps the state, and the candidate."""
        logits, candidate, *_ = self.averaging(projected)
        return torch.sigmoid(logits), candidate


class MinGRU(_MinimalCell):
    """A GRU whose gate and candidate read the input only (minGRU; Feng 2024, appendix B).

    ``z = sigmoid(x_z)``, ``n = g(x_n)``, ``h' = (1 - z) * n + z * h``, where ``g(x) = x + 0.5`` for
    positive x, and ``g(x) = sigmoid(x)`` for others. As in `GRU`, z is the share that is kept,
    ``1 - z`` in the paper. As g is positive, the paper can compute the recurrence from logarithms.
    Here it is a loop (`elementwise.py`), in which states may be negative, too.

    Args:
        input_size: size of an input.
        hidden_size: H.
        fused: run whole sequences as one autograd node; false: always run the plain loop.
    """

    gate_names = ("update_gate", "candidate")
    kept_gate = "update_gate"
    fast_path = Scan

    def __init__(self, input_size: int, hidden_size: int, *, fused: bool = True) -> None:
        super().__init__(input_size, hidden_size, num_gates=2, state_size=hidden_size)
        if not fused:
            self.drop_fast_path("fused: false of the cell")

    def averaging(self, projected: Float[Tensor, "*N G"]) -> tuple[Tensor, Tensor]:
        """Return the logit of z, and n."""
        update, candidate = projected.chunk(2, dim=-1)
        return update, _positive(candidate)


class MinLSTM(_MinimalCell):
    """An LSTM whose gates and candidate read the input only (minLSTM; Feng 2024, appendix B).

    ``f = sigmoid(x_f)``, ``i = sigmoid(x_i)``, ``n = g(x_n)``,
    ``h' = (f * h + i * n) / (f + i)``, with g of `MinGRU`. There is no output gate, and no memory
    apart from h. The share that is kept, ``f / (f + i)``, is computed from logarithms, so that it
    is exact for closed gates. The bias of the forget gate starts at 1, as in `LSTM`.

    Args:
        input_size: size of an input.
        hidden_size: H.
        fused: run whole sequences as one autograd node; false: always run the plain loop.
    """

    gate_names = ("forget_gate", "candidate")
    kept_gate = "forget_gate"
    fast_path = Scan

    def __init__(self, input_size: int, hidden_size: int, *, fused: bool = True) -> None:
        super().__init__(input_size, hidden_size, num_gates=3, state_size=hidden_size)
        if not fused:
            self.drop_fast_path("fused: false of the cell")
        with torch.no_grad():
            self.bias_input[:hidden_size] = 1.0

    def averaging(self, projected: Float[Tensor, "*N G"]) -> tuple[Tensor, Tensor]:
        """Return the logit of ``f / (f + i)``, which is ``log f - log i``, and n."""
        forget, input_gate, candidate = projected.chunk(3, dim=-1)
        logits = functional.logsigmoid(forget) - functional.logsigmoid(input_gate)
        return logits, _positive(candidate)


def _positive(inputs: Float[Tensor, "*N H"]) -> Float[Tensor, "*N H"]:
    """Return g, by a formula that is faster than `torch.where`."""
    return torch.relu(inputs) + torch.sigmoid(inputs.clamp(max=0.0))
