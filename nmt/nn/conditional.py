"""The conditional decoder: half a step, attend, the other half."""

from jaxtyping import Float
from torch import Tensor

from nmt.nn.attention.attention import AnyPast, Attended
from nmt.nn.decoder import DecoderParts, DecoderState
from nmt.nn.deep_output import DeepOutputDecoder


class ConditionalDecoder(DeepOutputDecoder):
    """Two transitions with the attention between them (cGRU of dl4mt; Sennrich 2017, Nematus).

    ``s'_t = cell_1(y_{t-1}, s_{t-1})``, ``c_t = attend(s'_t)``, ``s_t = cell_2(c_t, s'_t)``, deep
    output. With several layers the first one attends, and the others stand on ``s_t``.

    Args:
        parts: what it is made of; a second cell is made for ``cell_2``.
    """

    def __init__(self, parts: DecoderParts) -> None:
        super().__init__(parts)
        self.second = parts.make_cell(parts.value_size)

    def _attend_and_step(
        self,
        projected: Float[Tensor, "B G"],
        recurrent: list[Tensor],
        keep: list[Tensor | None],
        state: DecoderState,
        past: AnyPast,
    ) -> tuple[Float[Tensor, "B H"], Attended, list[Tensor]]:
        """One step: what the top shows, what was seen, and the states of all layers."""
        first = self.layers[0]
        between = first(projected, recurrent[0], keep[0])
        query = first.output(between).unsqueeze(1)
        attended: Attended = self.attention(query, state.memory, past)
        context = self.second.project(attended.context.squeeze(1))
        after = self.second(context, between, keep[0])
        output, upper = self._upper(self.second.output(after), recurrent, keep)
        return output, attended, [after, *upper]
