"""Each wiring with several layers against the equations of its docstring, step by step."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.nn.attention.alignments.table import ALIGNMENTS
from nmt.nn.attention.attention import Attention, FixedContext
from nmt.nn.attention.scores.additive import AdditiveScore
from nmt.nn.decoders.bahdanau import BahdanauDecoder
from nmt.nn.decoders.conditional import ConditionalDecoder
from nmt.nn.decoders.decoder import Decoder
from nmt.nn.decoders.gnmt import GNMTDecoder
from nmt.nn.decoders.interface import DecoderOutput, DecoderParts, LayerOptions
from nmt.nn.decoders.luong import LuongDecoder
from nmt.nn.decoders.sutskever import SutskeverDecoder
from nmt.nn.recurrent.cell import Cell
from nmt.nn.recurrent.gru import GRU
from nmt.nn.recurrent.lstm import LSTM

BATCH, STEPS, SOURCES = 2, 3, 4
EMBEDDING, HIDDEN, VALUE, OUTPUT = 3, 4, 5, 6
REAL = torch.tensor([[True, True, True, True], [True, True, False, False]])
BETWEEN = 2.0 * torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.double)
"""The mask of dropout between layers: the same at each step, so that a reference can have it."""

Given = dict[str, Any]
Rows = list[list[Tensor]]


class FixedMask(nn.Module):
    """Dropout that zeroes the same numbers always."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * BETWEEN


def make(
    kind: Any,
    cell: type[Cell],
    layers: int,
    residual: bool,
    dropout: float = 0.5,
    **options: Any,
) -> Decoder:
    torch.manual_seed(1)
    attention = Attention(AdditiveScore(HIDDEN, VALUE), ALIGNMENTS["softmax"](HIDDEN))
    parts = DecoderParts(
        make_cell=lambda size: cell(size, HIDDEN),
        attention=FixedContext() if kind is SutskeverDecoder else attention,
        input_size=EMBEDDING,
        value_size=VALUE,
        output_size=OUTPUT,
        layers=LayerOptions(layers, dropout, dropout, residual),
    )
    decoder: Decoder = kind(parts, **options).double()
    decoder.dropout = FixedMask()  # type: ignore[assignment]
    for parameter in decoder.parameters():
        nn.init.normal_(parameter)  # biases too
    return decoder


def inputs(decoder: Decoder) -> Given:
    torch.manual_seed(2)
    number = len(decoder.layers)
    dropout_mask = 2.0 * (torch.rand(BATCH, number, HIDDEN, dtype=torch.double) < 0.5)
    return {
        "words": torch.randn(BATCH, STEPS, EMBEDDING, dtype=torch.double),
        "values": torch.randn(BATCH, SOURCES, VALUE, dtype=torch.double),
        "recurrent": torch.randn(BATCH, number, decoder.state_size, dtype=torch.double),
        "input_feed": torch.randn(BATCH, decoder.input_feed_size or 1, dtype=torch.double),
        "dropout_mask": dropout_mask,
    }


def decode(decoder: Decoder, given: Given) -> DecoderOutput:
    summary = given["values"].mean(1)
    memory = decoder.attention.prepare(given["values"], REAL, summary=summary)
    state = decoder.start(given["recurrent"], memory)
    input_feed = None if decoder.input_feed_size is None else given["input_feed"]
    decoded: DecoderOutput = decoder(
        given["words"], replace(state, input_feed=input_feed, dropout_mask=given["dropout_mask"])
    )
    return decoded


def transition(cell: Cell, gates: Tensor, state: Tensor, dropout_mask: Tensor) -> Tensor:
    """One step of one sentence, from the formulas of `GRU` and `LSTM`."""
    if isinstance(cell, GRU):
        read = cell.weight_hidden @ (state * dropout_mask) + cell.bias_hidden
        r, z = (torch.sigmoid(gates[n : n + HIDDEN] + read[n : n + HIDDEN]) for n in (0, HIDDEN))
        candidate = torch.tanh(gates[2 * HIDDEN :] + r * read[2 * HIDDEN :])
        return (1 - z) * candidate + z * state
    hidden, memory = state[:HIDDEN], state[HIDDEN:]
    i, f, g, o = (gates + cell.weight_hidden @ (hidden * dropout_mask) + cell.bias_hidden).view(
        4, HIDDEN
    )
    memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
    return torch.cat([torch.sigmoid(o) * torch.tanh(memory), memory])


def reads(cell: Cell, vector: Tensor) -> Tensor:
    return cell.weight_input @ vector + cell.bias_input


def attend(decoder: Decoder, query: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Context and weights: ``v . tanh(W q + U h + b)``, softmax, the sum of the values."""
    score = decoder.attention.score
    assert isinstance(score, AdditiveScore)
    w, u, b = score.query_projection.weight, score.key_projection.weight, score.key_projection.bias
    energies = [score.direction.weight[0] @ torch.tanh(w @ query + u @ h + b) for h in values]
    weights = torch.softmax(torch.stack(energies), dim=0)
    return weights @ values, weights


def stack(
    decoder: Decoder,
    shown: Tensor,
    states: list[Tensor],
    dropout_mask: Tensor,
    context: Tensor | None,
) -> Tensor:
    """The layers above the first, in place in `states`: what the top shows."""
    for layer in range(1, len(states)):
        below = shown * BETWEEN
        below = below if context is None else torch.cat([below, context])
        cell = decoder.layers[layer]
        states[layer] = transition(cell, reads(cell, below), states[layer], dropout_mask[layer])
        top = states[layer][:HIDDEN]
        shown = top + shown if decoder.residual else top
    return shown


def deep_output(decoder: Any, state: Tensor, word: Tensor, context: Tensor) -> Tensor:
    summed = decoder.state_to_output(state) + decoder.word_to_output.weight @ word
    return torch.tanh(summed + decoder.context_to_output.weight @ context)


def bahdanau(
    d: Any, word: Tensor, states: list[Tensor], fed: Tensor, values: Tensor, k: Tensor
) -> Any:
    context, weights = attend(d, states[0][:HIDDEN], values)
    gates = reads(d.layers[0], word) + d.context_to_gates.weight @ context
    states[0] = transition(d.layers[0], gates, states[0], k[0])
    top = stack(d, states[0][:HIDDEN], states, k, None)
    return deep_output(d, top, word, context), weights, fed


def conditional(
    d: Any, word: Tensor, states: list[Tensor], fed: Tensor, values: Tensor, k: Tensor
) -> Any:
    between = transition(d.layers[0], reads(d.layers[0], word), states[0], k[0])
    context, weights = attend(d, between[:HIDDEN], values)
    states[0] = transition(d.second, reads(d.second, context), between, k[0])
    top = stack(d, states[0][:HIDDEN], states, k, None)
    return deep_output(d, top, word, context), weights, fed


def luong(
    d: Any, word: Tensor, states: list[Tensor], fed: Tensor, values: Tensor, k: Tensor
) -> Any:
    gates = reads(d.layers[0], word)
    if d.fed_to_gates is not None:
        gates = gates + d.fed_to_gates.weight @ fed
    states[0] = transition(d.layers[0], gates, states[0], k[0])
    top = stack(d, states[0][:HIDDEN], states, k, None)
    context, weights = attend(d, top, values)
    vector = torch.tanh(d.combine(torch.cat([context, top])))
    return vector, weights, vector


def gnmt(d: Any, word: Tensor, states: list[Tensor], fed: Tensor, values: Tensor, k: Tensor) -> Any:
    gates = reads(d.layers[0], word) + d.context_to_gates.weight @ fed
    states[0] = transition(d.layers[0], gates, states[0], k[0])
    context, weights = attend(d, states[0][:HIDDEN], values)
    top = stack(d, states[0][:HIDDEN], states, k, context)
    return torch.tanh(d.combine(torch.cat([context, top]))), weights, context


def sutskever(
    d: Any, word: Tensor, states: list[Tensor], fed: Tensor, values: Tensor, k: Tensor
) -> Any:
    states[0] = transition(d.layers[0], reads(d.layers[0], word), states[0], k[0])
    top = stack(d, states[0][:HIDDEN], states, k, None)
    return torch.tanh(d.state_to_output(top)), torch.zeros(len(values)).double(), fed


EQUATIONS: dict[str, tuple[Any, Callable[..., Any], dict[str, bool]]] = {
    "bahdanau": (BahdanauDecoder, bahdanau, {}),
    "conditional": (ConditionalDecoder, conditional, {}),
    "luong": (LuongDecoder, luong, {}),
    "luong without input feeding": (LuongDecoder, luong, {"input_feeding": False}),
    "gnmt": (GNMTDecoder, gnmt, {}),
    "sutskever": (SutskeverDecoder, sutskever, {}),
}


@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", [GRU, LSTM])
@pytest.mark.parametrize("wiring", EQUATIONS)
def test_decoder_equals_its_equations(
    wiring: str, cell: type[Cell], layers: int, residual: bool
) -> None:
    kind, equations, options = EQUATIONS[wiring]
    decoder = make(kind, cell, layers, residual, **options)
    given = inputs(decoder)
    decoded = decode(decoder, given)
    for sentence, real in enumerate(REAL):
        states = list(given["recurrent"][sentence])
        input_feed, dropout_mask = given["input_feed"][sentence], given["dropout_mask"][sentence]
        values = given["values"][sentence, real]
        for step, word in enumerate(given["words"][sentence]):
            vector, weights, input_feed = equations(
                decoder, word, states, input_feed, values, dropout_mask
            )
            torch.testing.assert_close(decoded.vectors[sentence, step], vector)
            torch.testing.assert_close(decoded.weights[sentence, step, real], weights)
        torch.testing.assert_close(decoded.state.recurrent[sentence], torch.stack(states))
        if decoder.input_feed_size is not None:
            assert decoded.state.input_feed is not None
            torch.testing.assert_close(decoded.state.input_feed[sentence], input_feed)


@pytest.mark.parametrize("cell", [GRU, LSTM])
@pytest.mark.parametrize("kind", [BahdanauDecoder, ConditionalDecoder, LuongDecoder])
def test_fused_decoder_inputs_get_the_gradients_of_the_plain_loop(
    kind: Any, cell: type[Cell]
) -> None:
    """The vector that is fed first, too: who goes on from a state may train what made it."""
    found = []
    for fused in (True, False):
        decoder = make(kind, cell, 1, False, dropout=0.0, fused=fused)
        assert (decoder.slow_path_reason is None) == fused
        given = inputs(decoder) | {"dropout_mask": None}
        used = ["words", "values", "recurrent"] + (
            ["input_feed"] if decoder.input_feed_size else []
        )
        decoded = decode(decoder, given | {key: given[key].requires_grad_() for key in used})
        torch.manual_seed(3)
        loss = (decoded.vectors * torch.randn(decoded.vectors.shape, dtype=torch.double)).sum()
        found.append(torch.autograd.grad(loss, [given[key] for key in used]))
    for fast, plain in zip(*found, strict=True):
        torch.testing.assert_close(fast, plain)
        assert plain.abs().max() > 0
