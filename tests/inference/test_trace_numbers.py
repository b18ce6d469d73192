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
from torch import nn

from nmt.core.batch import make_batch
from nmt.core.special_tokens import BOS, EOS
from nmt.inference.recorder import Recording, copy_structure, record
from nmt.nn.attention.alignments.table import ALIGNMENTS
from nmt.nn.attention.attention import Attention, BaseAttention, FixedContext
from nmt.nn.attention.multi_head import MultiHeadAttention
from nmt.nn.attention.scores.table import SCORES
from nmt.nn.bridge import BRIDGES
from nmt.nn.decoders.interface import DecoderParts, LayerOptions
from nmt.nn.decoders.table import DECODERS
from nmt.nn.encoders.encoder import Encoder
from nmt.nn.encoders.grid import GridEmbedding, GridEncoder
from nmt.nn.encoders.recurrent import RecurrentEncoder
from nmt.nn.layers import WordEmbedding
from nmt.nn.model import Model
from nmt.nn.recurrent.table import CELLS

Array = NDArray[np.float64]

E, H, V = 6, 8, 30  # sizes of embedding, state and vocabulary
WINDOW = 2  # of local attention
SOURCE, TARGET = [5, 9, 7, 11, 4, 6, 21, 8], [12, 4, 17, 9]
CHANNELS, ROWS, COLUMNS = 3, 2, 4  # of a grid

WIRINGS = {
    "bahdanau": ("bahdanau", {}),
    "conditional": ("conditional", {}),
    "luong": ("luong", {}),
    "luong without input feeding": ("luong", {"input_feeding": False}),
    "gnmt": ("gnmt", {}),
    "sutskever": ("sutskever", {}),
}


def build(
    wiring: str,
    cell: str,
    score: str,
    alignment: str,
    *,
    layers: int = 1,
    heads: int = 1,
    bridge: str = "final",
    reads_grids: bool = False,
) -> Model:
    """A tiny model with weights large enough that every term counts."""
    torch.manual_seed(7)
    name, options = WIRINGS[wiring]
    window = {"window": WINDOW} if alignment.startswith("local") else {}

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
    embedding: nn.Module = WordEmbedding(V, E)
    encoder: Encoder
    encoder = RecurrentEncoder(E, cell=CELLS[cell], hidden_size=H // 2, num_layers=layers)
    if reads_grids:
        embedding = GridEmbedding(CHANNELS, H, ROWS, COLUMNS)
        encoder = GridEncoder(E, channels=CHANNELS)
    decoder = DECODERS[name](parts, **options)
    start = BRIDGES[bridge](H, decoder.state_size, layers)
    model = Model(embedding, WordEmbedding(V, E), encoder, start, decoder, E)
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


def entmax15(x: Array) -> Array:
    """Peters 2019, eq. 10, with alpha 1.5: the threshold by bisection."""
    halved = x / 2
    low, high = halved.max(axis=1) - 1, halved.max(axis=1)
    for _ in range(60):
        middle = (low + high) / 2
        is_low = (np.maximum(halved - middle[:, None], 0) ** 2).sum(axis=1) >= 1
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return np.maximum(halved - low[:, None], 0) ** 2


def one_hot(positions: Any, size: int) -> Array:
    return np.eye(size)[np.asarray(positions)]


def windowed(x: Array, position: Array) -> tuple[Array, Array]:
    """Softmax within D positions of one, and the distances from it (positions from 0)."""
    away = np.arange(x.shape[1]) - position[:, None]
    return softmax(np.where(np.abs(away) <= WINDOW, x, -1e30)), away


def expected_weights(
    check: Check, path: str, alignment: str, query: Array
) -> tuple[Array, Array | None]:
    """The weights of each step, and the state before it if there is one."""
    at, scores = f"{path}.alignment", check[f"{path}.score.scores"]
    steps, size = scores.shape
    if alignment == "softmax":
        return softmax(scores), None
    if alignment == "sparsemax":
        return sparsemax(scores), None
    if alignment == "entmax":
        return entmax15(scores), None
    if alignment in ("hard", "gumbel"):
        return one_hot(scores.argmax(axis=1), size), None
    if alignment == "local_m":  # Luong 2015, section 3.2
        return windowed(scores, np.minimum(np.arange(steps), size - 1))[0], np.arange(steps)
    if alignment == "local_p":  # Luong 2015, eq. 9-10
        inner = np.tanh(check.linear(f"{at}.query_projection", query))
        moved = check.linear(f"{at}.direction", inner)[:, 0] / np.sqrt(query.shape[1])
        inside, away = windowed(scores, (size - 1) * sigmoid(moved))
        return inside * np.exp(-(away**2) / (2 * (WINDOW / 2) ** 2)), None
    assert alignment == "monotonic"  # Raffel 2017, algorithm 1; the last position is always taken
    before = shifted(one_hot(0, size), check[f"{at}.weights"])
    takes = scores + check.weights[f"{at}.offset"] > 0
    takes[:, -1] = True
    stops = [s + np.argmax(row[s:]) for s, row in zip(before.argmax(axis=1), takes, strict=True)]
    return one_hot(stops, size), before


def normalized(check: Check, path: str, cell: str, x: Array) -> Array:
    """Ba 2016, eq. 4; a GRU has one normalisation for both gates, and one for the candidate."""
    if not cell.startswith("layer_norm"):
        return x
    if cell.endswith("gru") and not path.endswith("norm_memory"):
        split = 2 * x.shape[1] // 3
        parts = (f"{path}.gates", x[:, :split]), (f"{path}.candidate", x[:, split:])
        return np.concatenate([layer_norm(check, *part) for part in parts], axis=1)
    return layer_norm(check, path, x)


def layer_norm(check: Check, path: str, x: Array) -> Array:
    centred = x - x.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    return scaled * check.weights[f"{path}.weight"] + check.weights[f"{path}.bias"]


def average(check: Check, path: str, cell: str) -> tuple[dict[str, Array], Array]:
    """The gates and the new state of a cell without a product with the state."""
    x, before = check[f"{path}.input"], check[f"{path}.before"]
    if cell == "min_gru":  # Feng 2024, appendix B; z is 1 - z there
        x_z, x_n = np.split(x, 2, axis=1)
        z, n = sigmoid(x_z), np.where(x_n >= 0, x_n + 0.5, sigmoid(x_n))
        return {"update_gate": z, "candidate": n}, (1 - z) * n + z * before
    if cell == "min_lstm":
        x_f, x_i, x_n = np.split(x, 3, axis=1)
        f, i, n = sigmoid(x_f), sigmoid(x_i), np.where(x_n >= 0, x_n + 0.5, sigmoid(x_n))
        f, i = f / (f + i), i / (f + i)
        return {"forget_gate": f, "candidate": n}, f * before + i * n
    c = before[:, before.shape[1] // 2 :]
    if cell == "ssru":  # Kim 2019
        x_f, x_c = np.split(x, 2, axis=1)
        f = sigmoid(x_f)
        c = f * c + (1 - f) * x_c
        gates = {"forget_gate": f, "candidate": x_c}
        return gates, np.concatenate([np.maximum(c, 0), c], axis=1)
    (x_f, x_r, x_c, x_h) = np.split(x, 4, axis=1)  # Lei 2018
    v_f, v_r = np.split(check.weights[f"{path}.vectors"], 2)
    f, r = sigmoid(x_f + v_f * c), sigmoid(x_r + v_r * c)
    c = f * c + (1 - f) * x_c
    gates = {"forget_gate": f, "reset_gate": r, "candidate": x_c}
    return gates, np.concatenate([r * c + (1 - r) * x_h, c], axis=1)


def check_cell(check: Check, path: str, cell: str) -> Array:
    """The gates and the new state of every step; returns the hidden states."""
    x, before = check[f"{path}.input"], check[f"{path}.before"]
    if f"{path}.weight_hidden" not in check.weights:
        gates, after = average(check, path, cell)
        for name, gate in gates.items():
            check.equal(f"{path}.{name}", gate)
        check.equal(f"{path}.state", after)
        size = after.shape[1] if cell.startswith("min") else after.shape[1] // 2
        return check[f"{path}.state"][:, :size]
    weight, bias = check.weights[f"{path}.weight_hidden"], check.weights[f"{path}.bias_hidden"]
    size = weight.shape[1]
    u = normalized(check, f"{path}.norm_hidden", cell, before[:, :size] @ weight.T + bias)
    gates = {}
    if cell == "rnn":  # Elman 1990
        after = np.tanh(x + u)
    elif cell.endswith("gru"):  # Cho 2014
        (x_r, x_z, x_n), (u_r, u_z, u_n) = np.split(x, 3, axis=1), np.split(u, 3, axis=1)
        r, z = sigmoid(x_r + u_r), sigmoid(x_z + u_z)
        n = np.tanh(x_n + r * u_n)
        gates = {"reset_gate": r, "update_gate": z, "candidate": n}
        after = (1 - z) * n + z * before
        if cell == "deep_gru":  # Pascanu 2014: a second step without an input
            at = f"{path}.transitions.0"
            r, z, n = np.split(check.linear(f"{at}.hidden", after), 3, axis=1)
            n = np.tanh(check.weights[f"{at}.candidate_bias"] + sigmoid(r) * n)
            after = (1 - sigmoid(z)) * n + sigmoid(z) * after
    else:  # Hochreiter 1997, with a forget gate
        i, f, g, o = np.split(x + u, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        gates = {"input_gate": i, "forget_gate": f, "candidate": g, "output_gate": o}
        c = f * before[:, size:] + i * g
        inner = normalized(check, f"{path}.norm_memory", cell, c)
        after = np.concatenate([o * np.tanh(inner), c], axis=1)
    if cell == "zoneout_gru":  # Krueger 2017: the expectation
        after = 0.1 * before + 0.9 * after
    if cell == "zoneout_lstm":
        kept = np.repeat([0.05, 0.1], size)
        after = kept * before + (1 - kept) * after
    for name, gate in gates.items():
        check.equal(f"{path}.{name}", gate)
    check.equal(f"{path}.state", after)
    return check[f"{path}.state"][:, :size]


def shifted(first: Array, rows: Array) -> Array:
    """The rows one step later, after the first."""
    return np.concatenate([first[None], rows[:-1]])


def read(check: Check, path: str, inputs: Array, cell: str = "") -> Array:
    summed = inputs @ check.weights[f"{path}.weight_input"].T + check.weights[f"{path}.bias_input"]
    return normalized(check, f"{path}.norm_input", cell, summed)


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
            check.equal(f"{path}.input", read(check, path, in_order, cell))
            after = check[f"{path}.state"]
            check.equal(f"{path}.before", shifted(np.zeros(after.shape[1]), after))
            outputs.append(check_cell(check, path, cell))
        final.append(np.concatenate([output[-1] for output in outputs]))
        states = np.concatenate([outputs[0], outputs[1][::-1]], axis=1)
    check.equal("encoder.states", states)
    check.equal("encoder.final", np.stack(final))


def check_bridge(check: Check, bridge: str, layers: int) -> None:
    summary = check["encoder.final"][-1]
    if bridge == "mean":  # Sennrich 2017
        summary = check["encoder.states"].mean(axis=0)
    if bridge == "zero":
        check.equal("bridge.state", np.zeros((layers, H)))
        return
    bridged = np.tanh(check.linear("bridge.projection", summary))
    check.equal("bridge.state", bridged.reshape(layers, -1))


def unit(x: Array) -> Array:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def expected_keys(check: Check, path: str, score: str, memory: Array) -> Array:
    """What each score precomputes of the memory."""
    at = f"{path}.score"
    if score in ("uniform", "location"):
        return memory[:, :0]
    if score == "dot":
        return memory
    scale = memory.shape[1] ** -0.5  # queries are as large here
    if score == "scaled_dot":
        return memory * scale
    keys = check.linear(f"{at}.key_projection", memory)
    if score == "general":
        return keys * scale
    if score == "cosine":
        return unit(keys)
    further = {
        "coverage_fertility": lambda: 2.0 * sigmoid(check.linear(f"{at}.fertility", memory)),
        "coverage_gru": lambda: check.linear(f"{at}.key_to_gates", memory),
    }.get(score, lambda: memory[:, :0])
    return np.concatenate([keys, further()], axis=1)


def expected_scores(check: Check, path: str, score: str, query: Array) -> Array:
    """The scores of each step, by the equation of the paper that a docstring of nmt names."""
    at = f"{path}.score"
    keys = check[f"{at}.keys"]
    if score == "uniform":
        return np.zeros((len(query), len(keys)))
    if score == "location":  # Luong 2015, eq. 8
        return check.linear(f"{at}.projection", query)[:, : len(keys)]
    if score in ("dot", "scaled_dot", "general"):  # Luong 2015, eq. 8; Vaswani 2017, eq. 1
        return query @ keys.T
    if score == "cosine":  # Graves 2014, eq. 5-6
        return check.weights[f"{at}.gain"] * (unit(query) @ keys.T)
    # Bahdanau 2015, A.1.2; concat: Luong 2015, eq. 8, with its matrix in two parts
    direction = check.weights[f"{at}.direction.weight"][0]
    summed = check.linear(f"{at}.query_projection", query)[:, None] + keys[:, : len(direction)]
    if score == "location_aware":  # Chorowski 2015, eq. 8-9
        filters = check.weights[f"{at}.filters.weight"][:, 0]
        half = filters.shape[1] // 2
        padded = np.pad(check[f"{at}.state"], ((0, 0), (half, half)))
        spans = np.lib.stride_tricks.sliding_window_view(padded, filters.shape[1], axis=1)
        summed = summed + check.linear(f"{at}.feature_projection", spans @ filters.T)
    elif score == "coverage_gru":  # Tu 2016
        summed = summed + check.linear(f"{at}.coverage_projection", check[f"{at}.state"])
    elif score.startswith("coverage"):  # See 2017, eq. 11
        state = check[f"{at}.state"][..., None]
        summed = summed + check.linear(f"{at}.coverage_projection", state)
    return np.tanh(summed) @ direction


def expected_states(check: Check, path: str, score: str) -> Array:
    """The state of a score before each step, from the weights of the steps before."""
    at, last = f"{path}.score", check[f"{path}.alignment.weights"]
    if score == "coverage_gru":  # Tu 2016, eq. 8
        keys, state, query = check[f"{at}.keys"], check[f"{at}.state"], check[f"{at}.query"]
        size = 3 * state.shape[2]
        x = keys[:, -size:] + check.linear(f"{at}.query_to_gates", query)[:, None]
        x = x + check.linear(f"{at}.weight_to_gates", last[..., None])
        u = check.linear(f"{at}.hidden_to_gates", state)
        (x_r, x_z, x_n), (u_r, u_z, u_n) = np.split(x, 3, axis=2), np.split(u, 3, axis=2)
        z = sigmoid(x_z + u_z)
        after = (1 - z) * np.tanh(x_n + sigmoid(x_r + u_r) * u_n) + z * state
        return shifted(np.zeros_like(state[0]), after)
    if score == "coverage_fertility":  # Tu 2016, eq. 6
        last = last / check[f"{at}.keys"][:, -1]
    before = shifted(np.zeros_like(last[0]), last)
    return before if score == "location_aware" else before.cumsum(axis=0)


def check_head(
    check: Check, path: str, score: str, alignment: str, query: Array, keys: Array, values: Array
) -> Array:
    """Scores, weights and context of one head; returns the contexts."""
    at = f"{path}.score"
    check.equal(f"{at}.query", query)
    check.equal(f"{path}.values", values)
    query, values = check[f"{at}.query"], check[f"{path}.values"]
    check.equal(f"{at}.keys", expected_keys(check, path, score, keys))
    check.equal(f"{at}.scores", expected_scores(check, path, score, query))
    if f"{at}.state" in check.arrays:
        check.equal(f"{at}.state", expected_states(check, path, score))
    at = f"{path}.alignment"
    weights, states = expected_weights(check, path, alignment, query)
    check.equal(f"{at}.weights", weights)
    if states is not None:
        check.equal(f"{at}.state", states)
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
    inputs = read(check, first, words, cell)
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


def check_grid(check: Check, cells: Array) -> None:
    at = "source_embedding"
    rows, columns = cells[:, -2].astype(int), cells[:, -1].astype(int)
    summed = check.linear(f"{at}.features", cells[:, :-2])
    summed += check.weights[f"{at}.rows.weight"][rows]
    summed += check.weights[f"{at}.columns.weight"][columns]
    check.equal(f"{at}.output", np.tanh(summed))
    check.equal("encoder.states", check[f"{at}.output"])
    check.equal("encoder.final", check["encoder.states"].mean(axis=0)[None])


def check_all(
    wiring: str,
    cell: str,
    score: str,
    alignment: str,
    *,
    layers: int = 1,
    heads: int = 1,
    bridge: str = "final",
    reads_grids: bool = False,
) -> None:
    """Record a sentence pair, and compute all of its arrays."""
    sizes = {"layers": layers, "heads": heads}
    model = build(wiring, cell, score, alignment, **sizes, bridge=bridge, reads_grids=reads_grids)
    cells = np.random.default_rng(3).random((ROWS * COLUMNS, CHANNELS + 2), dtype=np.float32)
    cells[:, -2], cells[:, -1] = np.divmod(np.arange(ROWS * COLUMNS), COLUMNS)
    source = cells if reads_grids else SOURCE
    check = Check(model, record(copy_structure(model), source, TARGET))
    if reads_grids:
        check_grid(check, cells)
    else:
        check_encoder(check, cell, layers)
    check_bridge(check, bridge, layers)
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


def test_no_wiring_is_left_out():
    assert {name for name, _ in WIRINGS.values()} == set(DECODERS)


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


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("score", SCORES)
def test_every_array_of_each_score_follows_from_earlier_ones(score):
    check_all("luong without input feeding", "gru", score, "softmax")


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_every_array_of_each_alignment_follows_from_earlier_ones(alignment):
    check_all("bahdanau", "gru", "additive", alignment)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("cell", CELLS)
def test_every_array_of_each_cell_follows_from_earlier_ones(cell):
    check_all("luong without input feeding", cell, "additive", "softmax")


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("bridge", BRIDGES)
def test_every_array_of_each_bridge_follows_from_earlier_ones(bridge):
    check_all("luong", "gru", "additive", "softmax", bridge=bridge)


@pytest.mark.usefixtures("unchecked")
def test_every_array_of_a_grid_follows_from_earlier_ones():
    check_all("bahdanau", "gru", "additive", "softmax", reads_grids=True)
