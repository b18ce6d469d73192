"""Zoneout: in training, units of the state keep their value at random (Krueger 2017)."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, cast

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from nmt.nn.recurrent.cell import CellTape, StartsTape
from nmt.nn.recurrent.gru import GRU, GRUTape
from nmt.nn.recurrent.lstm import LSTM, LSTMTape
from nmt.nn.shapes import Gates, Hidden, State


class Zoneout(nn.Module):
    """Random choice, at each step, of the units of a state that keep their value.

    Args:
        probabilities: probability of keeping, for each block of H units of the state.
    """

    def __init__(self, *probabilities: float) -> None:
        super().__init__()
        self.probabilities = probabilities

    def fill(self, kept: State) -> State:
        """Fill a tensor with 1 for the units that keep their value, else 0, and return it.

        In evaluation, the share that a unit keeps is its probability: the expectation.
        """
        parts = kept.chunk(len(self.probabilities), dim=-1)
        for part, probability in zip(parts, self.probabilities, strict=True):
            if self.training:
                part.bernoulli_(probability)
            else:
                part.fill_(probability)
        return kept


class ZoneoutGRU(GRU):
    """A GRU whose units keep their value with a probability, in training (Krueger 2017, section 3).

    ``h' = d * h + (1 - d) * GRU(x, h)``, where each number of d is 1 with the probability, else 0,
    drawn at each step. In evaluation d is the probability.

    Args:
        input_size: size of an input.
        hidden_size: H.
        probability: probability that a unit keeps its value.
        fused: run whole sequences as one autograd node; false: always run the plain loop.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        probability: Annotated[float, Ge(0.0), Le(1.0)] = 0.1,
        fused: bool = True,
    ) -> None:
        super().__init__(input_size, hidden_size, fused=fused)
        self.zoneout = Zoneout(probability)

    @property
    def tape(self) -> StartsTape | None:
        """Return what starts a tape of this cell; None: there is none."""
        return None if self.fast_path is None else ZoneoutTapes(self.fast_path, self.zoneout)

    @classmethod
    def has_dropout(cls, options: Mapping[str, Any]) -> bool:
        """Return whether the cell, with these options, draws random numbers in training."""
        return bool(0.0 < options["probability"] < 1.0)

    def forward(self, projected: Gates, state: State, dropout_mask: Hidden | None = None) -> State:
        """Return the next state."""
        after = super().forward(projected, state, dropout_mask)
        kept = self.zoneout.fill(torch.empty_like(after))
        return torch.lerp(after, state.to(after.dtype), kept)


class ZoneoutLSTM(LSTM):
    """An LSTM whose units keep their value with a probability, in training (Krueger 2017).

    ``c' = d_c * c + (1 - d_c) * (f * c + i * g)``,
    ``h' = d_h * h + (1 - d_h) * o * tanh(f * c + i * g)``, with the gates of `LSTM`. Each number of
    ``d_c`` and ``d_h`` is 1 with the probability, else 0, drawn at each step. In evaluation they
    are the probabilities.

    Args:
        input_size: size of an input.
        hidden_size: H.
        memory_probability: probability that a unit of c keeps its value.
        hidden_probability: probability that a unit of h keeps its value.
        fused: run whole sequences as one autograd node; false: always run the plain loop.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        memory_probability: Annotated[float, Ge(0.0), Le(1.0)] = 0.1,
        hidden_probability: Annotated[float, Ge(0.0), Le(1.0)] = 0.05,
        fused: bool = True,
    ) -> None:
        super().__init__(input_size, hidden_size, fused=fused)
        self.zoneout = Zoneout(hidden_probability, memory_probability)

    @property
    def tape(self) -> StartsTape | None:
        """Return what starts a tape of this cell; None: there is none."""
        return None if self.fast_path is None else ZoneoutTapes(self.fast_path, self.zoneout)

    @classmethod
    def has_dropout(cls, options: Mapping[str, Any]) -> bool:
        """Return whether the cell, with these options, draws random numbers in training."""
        probabilities = options["memory_probability"], options["hidden_probability"]
        return any(0.0 < probability < 1.0 for probability in probabilities)

    def forward(self, projected: Gates, state: State, dropout_mask: Hidden | None = None) -> State:
        """Return the next state."""
        after = super().forward(projected, state, dropout_mask)
        kept = self.zoneout.fill(torch.empty_like(after))
        return torch.lerp(after, state.to(after.dtype), kept)


class ZoneoutTape(CellTape):
    """Steps of another tape with zoneout (docs/fused.md); time-major.

    Args:
        states: `[T+1 B Z]`, the state before each step, and after the last.
        kept: `[T B Z]`, the share d of the state that each step keeps.
        saved: tensors of the other tape.

    Attributes:
        kind: class of the other tape.
    """

    kind: ClassVar[type[CellTape]]

    def __init__(self, states: Tensor, kept: Tensor, *saved: Tensor) -> None:
        super().__init__(states, kept, *saved)
        self.kept, self.plain = kept, self.kind(states, *saved)

    def step(self, t: int, inputs: Gates, hidden: Gates) -> State:
        """Return the state after step t."""
        after = self.plain.step(t, inputs, hidden)
        # s' = d * s + (1 - d) * cell(s)
        return torch.lerp(after, self.states[t], self.kept[t], out=after)

    def backward(self, t: int, d_after: State, d_inputs: Gates, d_hidden: Gates) -> State:
        """Backpropagate through step t; see `CellTape.backward`."""
        # d s = d s' * d; d cell(s) = d s' * (1 - d)
        d_kept = d_after * self.kept[t]
        d_before = self.plain.backward(t, d_after - d_kept, d_inputs, d_hidden)
        return d_before.add_(d_kept)

    def _factors_of(self, steps: slice) -> tuple[Tensor, ...]:
        return self.plain._factors_of(steps)


class ZoneoutGRUTape(ZoneoutTape):
    """`ZoneoutGRU` steps with hand-written derivatives."""

    kind = GRUTape
    state_width = GRUTape.state_width
    saved_widths = (GRUTape.state_width, *GRUTape.saved_widths)


class ZoneoutLSTMTape(ZoneoutTape):
    """`ZoneoutLSTM` steps with hand-written derivatives."""

    kind = LSTMTape
    state_width = LSTMTape.state_width
    saved_widths = (LSTMTape.state_width, *LSTMTape.saved_widths)


class ZoneoutTapes:
    """Starter of the tapes of a cell with zoneout (a `StartsTape`).

    Args:
        kind: class of the tape.
        zoneout: that of the cell.
    """

    def __init__(self, kind: type[ZoneoutTape], zoneout: Zoneout) -> None:
        self.kind, self.zoneout = kind, zoneout

    def start(self, num_steps: int, state: State) -> CellTape:
        """Return an empty tape for `num_steps` steps from `state`, with the units that are kept."""
        tape = cast(ZoneoutTape, self.kind.start(num_steps, state))
        for kept in tape.kept:  # one draw a step, as in the plain loop
            self.zoneout.fill(kept)
        return tape


# set here: the tapes are defined after the plain code
ZoneoutGRU.fast_path = ZoneoutGRUTape
ZoneoutLSTM.fast_path = ZoneoutLSTMTape
