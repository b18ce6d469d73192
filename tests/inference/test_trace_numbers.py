"""Every recorded array, computed again in plain numpy from earlier arrays and the weights.

The formulas are written out here as the papers state them; nothing of nmt computes in this file.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nmt.core.batch import make_batch
from nmt.core.special_tokens import BOS, EOS
from nmt.inference.recorder import Recording, copy_structure, record
from nmt.nn.attention.alignments.table import ALIGNMENTS
from nmt.nn.attention.attention import Attention, BaseAttention, FixedContext
from nmt.nn.attention.multi_head import MultiHeadAttention
from nmt.nn.attention.scores.table import SCORES
from nmt.nn.bridge import FinalBridge
from nmt.nn.decoders.interface import DecoderParts, LayerOptions
from nmt.nn.decoders.table import DECODERS
from nmt.nn.encoders.recurrent import RecurrentEncoder
from nmt.nn.layers import WordEmbedding
from nmt.nn.model import Model
from nmt.nn.recurrent.table import CELLS

Array = NDArray[np.float64]

E, H, V = 6, 8, 30  # sizes of embedding, state and vocabulary
WINDOW = 2  # of local attention
SOURCE, TARGET = [5, 9, 7, 11, 4, 6, 21, 8], [12, 4, 17, 9]

WIRINGS = {
    "bahdanau": ("bahdanau", {}),
    "conditional": ("conditional", {}),
    "luong": ("luong", {}),
    "luong without input feeding": ("luong", {"input_feeding": False}),
    "gnmt": ("gnmt", {}),
    "sutskever": ("sutskever", {}),
}


def build(
    wiring: str, cell: str, score: str, alignment: str, *, layers: int = 1, heads: int = 1
) -> Model:
    """A tiny model with weights large enough that every term counts."""
    torch.manual_seed(7)
    name, options = WIRINGS[wiring]
    window = {"window": WINDOW} if alignment == "local_p" else {}

    def attend(query_size: int, key_size: int) -> Attention:
        aligned = ALIGNMENTS[alignment](query_size, **window)
        return Attention(SCORES[score](query_size, key_size), aligned)

    attention: BaseAttention = attend(H, H)
    if heads > 1:
        attention = MultiHeadAttention(attend, heads, H, H)
    if name == "sutskever":
        attention = FixedContext()
    options_of_layers = LayerOptions(layers)
    parts = DecoderParts(lambda size: CELLS[cell](size, H), attention, E, H, E, options_of_layers)
    encoder = RecurrentEncoder(E, cell=CELLS[cell], hidden_size=H // 2, num_layers=layers)
    decoder = DECODERS[name](parts, **options)
    bridge = FinalBridge(H, decoder.state_size, layers)
    model = Model(WordEmbedding(V, E), WordEmbedding(V, E), encoder, bridge, decoder, E)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return model


class Check:
    """Compares recorded arrays with computed ones, and notes which ones it has compared."""

    def __init__(self, model: Model, recording: Recording) -> None:
        self.weights = {name: w.double().numpy() for name, w in model.state_dict().items()}
        self.arrays = recording.arrays
        self.compared: set[str] = set()

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name].astype(np.float64)

    def equal(self, name: str, expected: Any) -> None:
        found = self[name]
        assert found.shape == np.shape(expected), name
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5, err_msg=name)
        self.compared.add(name)

    def linear(self, path: str, inputs: Array) -> Array:
        """W x + b, without b if there is none."""
        bias = self.weights.get(f"{path}.bias", 0.0)
        return inputs @ self.weights[f"{path}.weight"].T + bias


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sparsemax(x: Array) -> Array:
    """Martins & Astudillo 2016, algorithm 1."""
    rows = []
    for z in x:
        ordered = np.sort(z)[::-1]
        k = max(k for k in range(1, len(z) + 1) if 1 + k * ordered[k - 1] > ordered[:k].sum())
        tau = (ordered[:k].sum() - 1) / k
        rows.append(np.maximum(z - tau, 0))
    return np.stack(rows)


def local_p(x: Array, position: Array) -> Array:
    """Luong 2015, eq. 9-10, with positions from 0."""
    away = np.arange(x.shape[1]) - position[:, None]
    inside = np.abs(away) <= WINDOW
    return softmax(np.where(inside, x, -1e30)) * np.exp(-(away**2) / (2 * (WINDOW / 2) ** 2))


def check_cell(check: Check, path: str, cell: str) -> Array:
    """The gates and the new state of every step; returns the hidden states."""
    x, before = check[f"{path}.input"], check[f"{path}.before"]
    weight, bias = check.weights[f"{path}.weight_hidden"], check.weights[f"{path}.bias_hidden"]
    size = weight.shape[1]
    u = before[:, :size] @ weight.T + bias
    if cell == "gru":
        (x_r, x_z, x_n), (u_r, u_z, u_n) = np.split(x, 3, axis=1), np.split(u, 3, axis=1)
        r, z = sigmoid(x_r + u_r), sigmoid(x_z + u_z)
        n = np.tanh(x_n + r * u_n)
        gates = {"reset_gate": r, "update_gate": z, "candidate": n}
        after = (1 - z) * n + z * before
    else:
        i, f, g, o = np.split(x + u, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        gates = {"input_gate": i, "forget_gate": f, "candidate": g, "output_gate": o}
        c = f * before[:, size:] + i * g
        after = np.concatenate([o * np.tanh(c), c], axis=1)
    for name, gate in gates.items():
        check.equal(f"{path}.{name}", gate)
    check.equal(f"{path}.state", after)
    return check[f"{path}.state"][:, :size]


def shifted(first: Array, rows: Array) -> Array:
    """The rows one step later, after the first."""
    return np.concatenate([first[None], rows[:-1]])


def read(check: Check, path: str, inputs: Array) -> Array:
    return inputs @ check.weights[f"{path}.weight_input"].T + check.weights[f"{path}.bias_input"]


def check_encoder(check: Check, cell: str, layers: int) -> None:
    check.equal(
        "source_embedding.output", check.weights["source_embedding.table.weight"][[*SOURCE, EOS]]
    )
    states, final = check["source_embedding.output"], []
    for layer in range(layers):
        outputs = []
        for direction in (0, 1):
            path = f"encoder.layers.{layer}.{direction}"
            in_order = states[::-1] if direction else states
            check.equal(f"{path}.input", read(check, path, in_order))
            after = check[f"{path}.state"]
            check.equal(f"{path}.before", shifted(np.zeros(after.shape[1]), after))
            outputs.append(check_cell(check, path, cell))
        final.append(np.concatenate([output[-1] for output in outputs]))
        states = np.concatenate([outputs[0], outputs[1][::-1]], axis=1)
    check.equal("encoder.states", states)
    check.equal("encoder.final", np.stack(final))
    bridged = np.tanh(check.linear("bridge.projection", check["encoder.final"][-1]))
    check.equal("bridge.state", bridged.reshape(layers, -1))


def check_head(
    check: Check, path: str, score: str, alignment: str, query: Array, keys: Array, values: Array
) -> Array:
    """Scores, weights and context of one head; returns the contexts."""
    at = f"{path}.score"
    check.equal(f"{at}.query", query)
    check.equal(f"{path}.values", values)
    query, values = check[f"{at}.query"], check[f"{path}.values"]
    if score == "additive":  # Bahdanau 2015, A.1.2
        check.equal(f"{at}.keys", check.linear(f"{at}.key_projection", keys))
        hidden = np.tanh(
            check.linear(f"{at}.query_projection", query)[:, None] + check[f"{at}.keys"]
        )
        check.equal(f"{at}.scores", hidden @ check.weights[f"{at}.direction.weight"][0])
    else:  # Luong 2015, eq. 8
        scale = query.shape[1] ** -0.5
        projected = (
            check.linear(f"{at}.key_projection", keys) * scale if score == "general" else keys
        )
        check.equal(f"{at}.keys", projected)
        check.equal(f"{at}.scores", query @ check[f"{at}.keys"].T)
    scores, at = check[f"{at}.scores"], f"{path}.alignment"
    if alignment == "softmax":
        check.equal(f"{at}.weights", softmax(scores))
    elif alignment == "sparsemax":
        check.equal(f"{at}.weights", sparsemax(scores))
    else:
        inner = np.tanh(check.linear(f"{at}.query_projection", query))
        moved = check.linear(f"{at}.direction", inner)[:, 0] / np.sqrt(query.shape[1])
        check.equal(f"{at}.weights", local_p(scores, (len(values) - 1) * sigmoid(moved)))
    check.equal(f"{path}.weights", check[f"{at}.weights"])
    check.equal(f"{path}.context", check[f"{path}.weights"] @ values)
    return check[f"{path}.context"]


def check_attention(
    check: Check, score: str, alignment: str, query: Array, heads: int = 1
) -> Array:
    path, states = "decoder.attention", check["encoder.states"]
    if heads == 1:
        return check_head(check, path, score, alignment, query, states, states)
    queries, keys, values = (
        np.split(check.linear(f"{path}.{name}_projection", inputs), heads, axis=1)
        for name, inputs in (("query", query), ("key", states), ("value", states))
    )
    contexts = [
        check_head(check, f"{path}.heads.{i}", score, alignment, queries[i], keys[i], values[i])
        for i in range(heads)
    ]
    heads_of = [check[f"{path}.heads.{i}.weights"] for i in range(heads)]
    check.equal(f"{path}.weights", np.mean(heads_of, axis=0))
    joined = np.concatenate(contexts, axis=1)
    check.equal(f"{path}.context", check.linear(f"{path}.output_projection", joined))
    return check[f"{path}.context"]


def check_upper(
    check: Check, cell: str, layers: int, hidden: Array, context: Array | None = None
) -> Array:
    """The layers above the first; returns the hidden states of the top layer."""
    for layer in range(1, layers):
        path = f"decoder.cells.{layer}"
        inputs = hidden if context is None else np.concatenate([hidden, context], axis=1)
        check.equal(f"{path}.input", read(check, path, inputs))
        before = shifted(check["bridge.state"][layer], check[f"{path}.state"])
        check.equal(f"{path}.before", before)
        hidden = check_cell(check, path, cell)
    return hidden


Attend = Callable[[Array], Array]


def check_decoder(check: Check, wiring: str, cell: str, layers: int, attend: Attend) -> Array:
    """The steps of the decoder; returns its vectors as the wiring defines them."""
    words = check["target_embedding.output"]
    first, size = "decoder.cells.0", H
    last = "decoder.second.state" if wiring == "conditional" else f"{first}.state"
    check.equal(f"{first}.before", shifted(check["bridge.state"][0], check[last]))
    inputs = read(check, first, words)
    if wiring == "bahdanau":
        context = attend(check[f"{first}.before"][:, :size])
        check.equal(f"{first}.input", inputs + check.linear("decoder.context_to_gates", context))
        hidden = check_upper(check, cell, layers, check_cell(check, first, cell))
        return deep_output(check, hidden, words, context)
    if wiring == "conditional":
        check.equal(f"{first}.input", inputs)
        between = check_cell(check, first, cell)
        context = attend(between)
        check.equal("decoder.second.before", check[f"{first}.state"])
        check.equal("decoder.second.input", read(check, "decoder.second", context))
        hidden = check_upper(check, cell, layers, check_cell(check, "decoder.second", cell))
        return deep_output(check, hidden, words, context)
    if wiring == "gnmt":
        fed = shifted(np.zeros(H), check["decoder.attention.context"])
        check.equal("decoder.input_feed", fed)
        check.equal(f"{first}.input", inputs + check.linear("decoder.context_to_gates", fed))
        hidden = check_cell(check, first, cell)
        context = attend(hidden)
        top = check_upper(check, cell, layers, hidden, context)
        return np.tanh(check.linear("decoder.combine", np.concatenate([context, top], axis=1)))
    if wiring == "luong":
        fed = shifted(np.zeros(E), check["decoder.vectors"])
        check.equal("decoder.input_feed", fed)
        inputs = inputs + check.linear("decoder.fed_to_gates", fed)
    check.equal(f"{first}.input", inputs)
    top = check_upper(check, cell, layers, check_cell(check, first, cell))
    if wiring == "sutskever":
        check.equal("decoder.attention.vector", check["encoder.final"][-1])
        fixed = np.tile(check["decoder.attention.vector"], (len(words), 1))
        check.equal("decoder.attention.context", fixed)
        return np.tanh(check.linear("decoder.state_to_output", top))
    context = attend(top)
    return np.tanh(check.linear("decoder.combine", np.concatenate([context, top], axis=1)))


def deep_output(check: Check, hidden: Array, words: Array, context: Array) -> Array:
    summands = [
        check.linear(f"decoder.{name}_to_output", inputs)
        for name, inputs in (("state", hidden), ("word", words), ("context", context))
    ]
    return np.tanh(sum(summands))


def check_all(
    wiring: str, cell: str, score: str, alignment: str, *, layers: int = 1, heads: int = 1
) -> None:
    model = build(wiring, cell, score, alignment, layers=layers, heads=heads)
    check = Check(model, record(copy_structure(model), SOURCE, TARGET))
    check_encoder(check, cell, layers)
    table = check.weights["target_embedding.table.weight"]
    check.equal("target_embedding.output", table[[BOS, *TARGET]])
    vectors = check_decoder(
        check,
        *(wiring, cell, layers),
        lambda query: check_attention(check, score, alignment, query, heads),
    )
    check.equal("decoder.vectors", vectors)
    check.equal("projection.logits", check.linear("projection", check["decoder.vectors"]))
    check.equal("log_probabilities", np.log(softmax(check["projection.logits"])))
    assert check.compared == set(check.arrays)


OTHERS = [
    *(("gru", score, "softmax") for score in SCORES),
    *(("lstm", "additive", alignment) for alignment in ALIGNMENTS),
    *((cell, "additive", "softmax") for cell in CELLS),
]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("cell", "score", "alignment"), OTHERS)
def test_every_part_is_recorded(cell, score, alignment):
    """The steps along the recorded path are those of the model without hooks."""
    model = build("bahdanau", cell, score, alignment).eval()
    recording = record(copy_structure(model), SOURCE, TARGET)
    with torch.inference_mode():
        output = model(make_batch([SOURCE], [TARGET]))
    arrays = recording.arrays
    logits = output.logits[0].numpy()
    np.testing.assert_allclose(arrays["projection.logits"], logits, rtol=0, atol=1e-5)
    weights = output.weights[0].numpy()
    np.testing.assert_allclose(arrays["decoder.attention.weights"], weights, rtol=0, atol=1e-5)
    steps = len(TARGET) + 1
    assert arrays["decoder.cells.0.state"].shape[0] == steps
    assert arrays["decoder.attention.score.scores"].shape == (steps, len(SOURCE) + 1)
    is_sequential = model.decoder.attention.score.is_sequential
    assert ("decoder.attention.score.state" in arrays) == is_sequential
    assert recording.not_recorded == ()


def cases() -> Iterator[tuple[str, str, str, str]]:
    for wiring, cell in product(WIRINGS, ("gru", "lstm")):
        if wiring == "sutskever":
            yield wiring, cell, "dot", "softmax"
            continue
        for parts in product(("additive", "general", "dot"), ("softmax", "sparsemax", "local_p")):
            yield wiring, cell, *parts


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("wiring", "cell", "score", "alignment"), list(cases()))
def test_every_array_follows_from_earlier_ones(wiring, cell, score, alignment):
    check_all(wiring, cell, score, alignment)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_every_array_of_two_layers_follows_from_earlier_ones(wiring, cell):
    check_all(wiring, cell, "additive", "softmax", layers=2)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("score", ["additive", "general", "dot"])
@pytest.mark.parametrize("alignment", ["softmax", "sparsemax", "local_p"])
def test_every_array_of_two_heads_follows_from_earlier_ones(score, alignment):
    check_all("bahdanau", "gru", score, alignment, heads=2)
