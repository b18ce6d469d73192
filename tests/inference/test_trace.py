"""The trace of one sentence: it is the translation, it adds up, and it changes nothing."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import nn

from nmt.build.model import build_model
from nmt.config.decoding import DecodingConfig
from nmt.config.model import ModelConfig
from nmt.core.errors import ConfigError, DataError, RunError
from nmt.core.special_tokens import BOS, EOS, UNK
from nmt.data.formats.grids import Grid, GridReader
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.loading import build_reranker, build_search
from nmt.inference.recorder import copy_structure, record
from nmt.inference.shortlist import Shortlist
from nmt.inference.trace import Trace
from nmt.inference.tracing import _forced_text
from nmt.inference.translation import Translation
from nmt.inference.translator import Input, Translator
from nmt.nn.ensemble import Ensemble
from nmt.search.hypothesis import Hypothesis
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer
from nmt.word_alignment.ibm1 import Lexicon

SIZES = {
    "embedding": {"size": 16},
    "encoder": {"hidden_size": 8},
    "decoder": {"hidden_size": 12},
}
LINE = "w1 w2 w3 w4"


@pytest.fixture(scope="module")
def tokenizer():
    return WordTrainer(Normalizer()).train(lambda: iter([" ".join(f"w{n}" for n in range(30))]))


@pytest.fixture
def make(tokenizer):
    def make(model=None, **decoding) -> Translator:
        torch.manual_seed(3)
        config = ModelConfig.model_validate({**SIZES, **(model or {})})
        built = build_model(config, len(tokenizer), len(tokenizer)).eval()
        with torch.no_grad():
            for parameter in built.parameters():
                parameter.mul_(2.0)
        options = DecodingConfig.model_validate({"max_length": 9, "beam_size": 3, **decoding})
        search = build_search(options, tokenizer)
        return Translator(
            BatchRunner(built, search, torch.device("cpu"), torch.float32, batch_tokens=200),
            source_reader=tokenizer,
            target_tokenizer=tokenizer,
            max_source_length=50,
            reranker=build_reranker(options),
        )

    return make


def test_a_trace_is_the_translation(make):
    translator = make()
    (expected,) = translator.translate([LINE], with_alignments=True)
    trace = translator.trace(LINE)
    assert trace.text == (LINE, expected.text)
    assert trace.translation.hypotheses == expected.hypotheses
    np.testing.assert_array_equal(trace.alignment.weights, expected.alignment.weights)
    assert trace.lacks == ()


def test_the_best_of_its_beam_is_the_translation(make):
    translator = make()
    trace = translator.trace(LINE)
    path = trace.tree.path(trace.tree.best())
    assert tuple(node.token for node in path) == (*trace.translation.hypotheses[0].tokens, EOS)


def test_the_steps_add_up(make):
    trace = make().trace(LINE)
    best = trace.translation.hypotheses[0]
    assert len(trace.steps) == len(trace.target) == len(best.tokens) + 1
    total = sum(math.log(step.probability) for step in trace.steps)
    assert total == pytest.approx(best.log_probability, abs=1e-5)
    assert [step.previous for step in trace.steps] == ["<s>", *trace.target[:-1]]
    assert tuple(step.word for step in trace.steps) == trace.target
    for step, row in zip(trace.steps, trace.arrays["log_probabilities"], strict=True):
        in_order = np.sort(np.exp(row.astype(np.float64)))[::-1]
        found = [one.probability for one in step.likeliest]
        assert found == pytest.approx(in_order[:5].tolist(), abs=1e-6)
        entropy = -(np.exp(row.astype(np.float64)) * row).sum()
        assert step.entropy == pytest.approx(entropy, abs=1e-4)


def test_the_cells_of_a_step(make):
    trace = make({"decoder": {"style": "conditional", "hidden_size": 12}}).trace(LINE)
    first = trace.steps[0].cells
    assert [cell.path for cell in first] == ["decoder.cells.0", "decoder.second"]
    gate, state = (trace.arrays[f"decoder.second.{name}"][0] for name in ("update_gate", "state"))
    assert first[1].kept == pytest.approx(gate.mean(), abs=1e-6)
    assert first[1].norm == pytest.approx(np.linalg.norm(state), abs=1e-5)


def test_the_cells_of_an_lstm_keep_by_their_forget_gate(make):
    trace = make({"decoder": {"cell": "lstm", "hidden_size": 12}}).trace(LINE)
    for number, step in enumerate(trace.steps):
        gate, state = (
            trace.arrays[f"decoder.cells.0.{name}"][number] for name in ("forget_gate", "state")
        )
        assert step.cells[0].kept == pytest.approx(gate.mean(), abs=1e-6)
        assert step.cells[0].norm == pytest.approx(np.linalg.norm(state[:12]), abs=1e-5)


def test_the_entropy_of_the_weights(make):
    trace = make({"attention": {"alignment": "local_p"}}).trace(LINE)  # their sum is below 1
    for step, row in zip(trace.steps, trace.arrays["decoder.attention.weights"], strict=True):
        assert row.sum() < 0.999
        shares = row[row > 0].astype(np.float64) / row.sum(dtype=np.float64)
        assert step.attention_entropy == pytest.approx(-(shares * np.log(shares)).sum(), abs=1e-6)


def test_each_part_is_described_once_in_the_order_of_computation(make):
    decoder = {"style": "conditional", "cell": "lstm", "hidden_size": 12}
    parts = make({"decoder": decoder}, coverage_penalty="gnmt").trace(LINE).parts
    found = [(part.kind, part.formula.name, part.paths) for part in parts]
    assert found == [
        ("cell of the encoder", "GRU", ("encoder.layers.0.0", "encoder.layers.0.1")),
        ("encoder", "RecurrentEncoder", ("encoder",)),
        ("bridge", "FinalBridge", ("bridge",)),
        ("score", "AdditiveScore", ("decoder.attention.score",)),
        ("alignment", "SoftmaxAlignment", ("decoder.attention.alignment",)),
        ("attention", "Attention", ("decoder.attention",)),
        ("cell of the decoder", "LSTM", ("decoder.cells.0", "decoder.second")),
        ("decoder", "ConditionalDecoder", ("decoder",)),
        ("length penalty", "AveragePenalty", ()),
        ("coverage penalty", "GNMTCoverage", ()),
    ]


def test_each_weight_is_named_at_the_innermost_module_that_is_recorded(make):
    translator = make()
    parameters = translator.trace(LINE).parameters
    names = [name for found in parameters.values() for name in found]
    weights = translator.runner.model.named_parameters(remove_duplicate=False)
    assert sorted(names) == sorted(name for name, _ in weights)
    assert parameters["decoder.attention.score"] == (
        "decoder.attention.score.query_projection.weight",
        "decoder.attention.score.key_projection.weight",
        "decoder.attention.score.key_projection.bias",
        "decoder.attention.score.direction.weight",
    )
    assert "decoder.attention" not in parameters  # it has no weights of its own


def test_a_shared_embedding_has_both_of_its_names(make):
    trace = make({"embedding": {"size": 16, "tie": "all"}}).trace(LINE)
    name = "target_embedding.table.weight"
    assert trace.parameters["target_embedding"] == (name,)
    assert trace.parameters["source_embedding"] == (name.replace("target", "source"),)
    assert len(trace.arrays["source_embedding.output"]) == len(trace.source)
    assert len(trace.arrays["target_embedding.output"]) == len(trace.target)


def test_ranks_are_not_used(make):
    translator = make()
    with_ranks = replace(translator, runner=replace(translator.runner, ranks=Mock()))
    assert with_ranks.trace(LINE).text == translator.trace(LINE).text


def test_a_trace_leaves_the_model_as_it_is(make):
    translator = make()
    model = translator.runner.model.train()
    before = dict(model.named_parameters())
    (expected,) = translator.translate([LINE])
    translator.trace(LINE)
    assert model.training
    assert all(parameter is before[name] for name, parameter in model.named_parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert translator.runner.observer is None
    assert translator.translate([LINE])[0] == expected


def test_a_copy_shares_all_weights(make):
    model = make().runner.model
    copied = copy_structure(model)
    pairs = zip(model.state_dict().values(), copied.state_dict().values(), strict=True)
    assert all(one.data_ptr() == two.data_ptr() for one, two in pairs)


def test_two_threads_trace_at_once(make):
    translator = make()
    lines = ["w1 w2", "w7 w8 w9"]
    expected = [translator.trace(line) for line in lines] * 2
    lines *= 2
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(translator.trace, lines))
    for one, two in zip(found, expected, strict=True):
        assert one.text == two.text
        assert one.tree.nodes == two.tree.nodes
        for name, array in one.arrays.items():
            np.testing.assert_array_equal(array, two.arrays[name])


def test_a_word_can_be_forced(make):
    translator = make()
    first = translator.trace(LINE).steps[1].likeliest[3]
    trace = translator.trace(LINE, prefix=first.prefix)
    assert trace.steps[1].word == first.word
    assert trace.prefix == first.prefix
    (expected,) = translator.translate([Input(LINE, first.prefix)])
    assert trace.text[1] == expected.text
    assert any(node.reason == "constraint" for node in trace.tree.nodes)
    again = translator.trace(LINE, prefix=first.prefix)
    assert again.steps[1].word == first.word


@pytest.mark.parametrize("search", ["greedy", "beam", "diverse_beam", "sampling"])
def test_each_search_can_force_a_word(make, search):
    trace = make(search=search, beam_size=1 if search in ("greedy", "sampling") else 3).trace(
        LINE, prefix="w7 w7"
    )
    assert [step.word for step in trace.steps[:2]] == ["w7", "w7"]
    assert trace.prefix == "w7 w7"


def test_a_prefix_above_the_maximum_length_is_not_forced(make, caplog):
    prefix = " ".join(["w7"] * 10)
    translator = make(max_length=9)
    trace = translator.trace(LINE, prefix=prefix)
    assert "the prefix has 10 tokens, above decoding.max_length (9)" in caplog.text
    assert (trace.prefix, trace.text) == ("", translator.trace(LINE).text)
    assert trace.lacks == ("the prefix: it has 10 tokens, above decoding.max_length (9)",)
    longest = translator.trace(LINE, prefix=prefix[:-3])
    assert (longest.prefix, longest.text[1]) == (prefix[:-3], prefix[:-3])
    assert longest.lacks == ()


def test_a_blank_prefix_forces_nothing(make):
    trace = make().trace(LINE, prefix="  ")
    assert (trace.prefix, trace.text) == ("", make().trace(LINE).text)


def test_a_shortlist_is_reported(make):
    translator = make()
    tokens = np.arange(len(translator.target_tokenizer), dtype=np.int32)[:, None]
    lexicon = Lexicon(tokens, np.ones(tokens.shape, np.float32), tokens[4:10, 0])
    shortlist = Shortlist(lexicon, num_candidates=1, num_frequent=4, copies=False)
    translator = replace(translator, runner=replace(translator.runner, shortlist=shortlist))
    trace = translator.trace(LINE)
    assert trace.text[1] == translator.translate([LINE])[0].text
    assert trace.lacks == (
        "words outside the shortlist in the beam, whose probabilities are among its words",
    )
    path = trace.tree.path(trace.tree.best())
    assert tuple(node.token for node in path) == (*trace.translation.hypotheses[0].tokens, EOS)
    assert trace.arrays["log_probabilities"].shape[1] == len(translator.target_tokenizer)


def test_only_text_or_a_grid_has_a_trace(make):
    with pytest.raises(TypeError, match=r"^trace: the sentence must be str, not int$"):
        make().trace(5)


@pytest.mark.parametrize("line", ["zz yy", "w1 \0 w2", "w1\nw2", "\ud800 w1", "w1 " * 1700])
def test_hostile_sentences_have_a_trace(make, line):
    translator = make()
    trace = translator.trace(line)
    assert trace.text[1] == translator.translate([line])[0].text
    json.loads(trace.to_json())
    json.dumps(trace.view(), allow_nan=False)


def test_the_end_of_a_sentence_cannot_be_forced(make):
    steps = make().trace(LINE).steps
    prefixes = {one.prefix for step in steps for one in step.likeliest if one.word == "</s>"}
    assert prefixes <= {None}


def test_a_token_without_text_cannot_be_forced(tokenizer):
    silent = Mock(decode=lambda tokens: "")
    assert _forced_text(silent, [EOS + 1]) is None
    assert _forced_text(tokenizer, [EOS + 1]) == tokenizer.decode([EOS + 1])
    assert _forced_text(tokenizer, [UNK, EOS + 1]) is None
    assert _forced_text(tokenizer, [EOS + 1, BOS]) is None


@pytest.mark.parametrize("decoder", ["bahdanau", "luong", "gnmt", "sutskever"])
@pytest.mark.parametrize("heads", [1, 2])
def test_every_wiring_has_a_trace(make, decoder, heads):
    attention = None if decoder == "sutskever" else {"num_heads": heads}
    model = {"decoder": {"style": decoder, "hidden_size": 12}, "attention": attention}
    trace = make(model).trace(LINE)
    kinds = {part.kind for part in trace.parts}
    assert {"encoder", "bridge", "decoder", "attention", "length penalty"} <= kinds
    json.loads(trace.to_json())
    if decoder == "sutskever":
        assert trace.lacks == (
            "attention: the model has none, so there are no scores, weights and links",
        )
        assert trace.alignment is None
        assert trace.steps[0].attention_entropy is None
    else:
        weights = trace.arrays["decoder.attention.weights"]
        np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-5)


def test_json_holds_every_array_exactly(make):
    trace = make().trace(LINE)
    found = json.loads(trace.to_json())
    assert found["version"] == 1
    assert set(found["arrays"]) == set(trace.arrays)
    for name, array in trace.arrays.items():
        stored = found["arrays"][name]
        assert stored["shape"] == list(array.shape)
        values = np.array(stored["values"], dtype=np.float32).reshape(array.shape)
        np.testing.assert_array_equal(values, array)
    weights = {name for names in found["parameters"].values() for name in names}
    assert "decoder.attention.score.query_projection.weight" in weights
    assert len(found["tree"]["nodes"]) == len(trace.tree.nodes)
    fields = found["tree"]["fields"]
    assert fields[:3] == ["id", "parent", "group"]
    best = trace.tree.best()
    assert found["tree"]["best"] == best.id
    node = dict(zip(fields, found["tree"]["nodes"][best.parent], strict=True))
    assert node["token"] == trace.target[-2]


def test_a_model_that_computes_nan_gives_valid_json(make):
    translator = make()
    with torch.no_grad():
        translator.runner.model.bridge.projection.bias[0] = math.nan

    def refuse(name: str) -> None:
        raise ValueError(name)

    trace = translator.trace(LINE)
    found = json.loads(trace.to_json(), parse_constant=refuse)
    assert None in found["arrays"]["bridge.state"]["values"]
    json.loads(json.dumps(trace.view(), allow_nan=False))


def test_a_view_has_the_first_numbers_of_each_vector(make):
    trace = make().trace(" ".join([LINE] * 4))
    view = trace.view(lambda prefix: f"force {prefix}")
    states = view["arrays"]["decoder.cells.0.state"]
    assert states["shape"] == [len(trace.target), 12]
    assert [len(row) for row in states["rows"]] == [8] * len(trace.target)
    assert states["is_step"] and not view["arrays"]["encoder.states"]["is_step"]
    scores = view["arrays"]["decoder.attention.score.scores"]["rows"]
    assert [len(row) for row in scores] == [len(trace.source)] * len(trace.target)
    assert "log_probabilities" not in view["arrays"]
    commands = {
        one["prefix"]: one["command"] for step in view["steps"] for one in step["likeliest"]
    }
    assert commands == {
        prefix: None if prefix is None else f"force {prefix}" for prefix in commands
    }
    assert None in commands
    assert not view["arrays"]["decoder.attention.score.keys"]["is_step"]
    assert trace.view()["steps"][0]["likeliest"][0]["command"] is None
    assert view["attention"]["words"]["target"] == list(trace.alignment.target_words)


def test_a_grid_has_a_trace(make, tokenizer):
    encoder = {"name": "grid", "channels": 3, "hidden_size": 8, "max_rows": 4, "max_columns": 4}
    translator = replace(make({"encoder": encoder}), source_reader=GridReader(3, 4, 4))
    grid = Grid(np.random.default_rng(1).random((2, 3, 3), dtype=np.float32), "a.npz, array 0")
    trace = translator.trace(grid)
    assert trace.text == ("a.npz, array 0", translator.translate([grid])[0].text)
    assert len(trace.source) == 6
    assert trace.arrays["source_embedding.output"].shape == (6, 8)
    assert trace.view()["attention"]["grid"]["columns"] == 3
    json.loads(trace.to_json())


def test_samples_have_no_beam(make):
    trace = make(search="sampling", beam_size=1).trace(LINE)
    assert trace.tree is None and trace.steps
    assert trace.lacks == ("a beam: sampling draws one word at each step",)
    assert trace.view()["tree"] is None


def test_reranking_is_reported(make):
    translator = make(mbr="chrf", n_best=1, beam_size=8, mbr_candidates=8)
    reported = set()
    for line in (f"w{number} w{number + 9}" for number in range(6)):
        trace = translator.trace(line)
        path = trace.tree.path(trace.tree.best())
        is_best = tuple(node.token for node in path) == (
            *trace.translation.hypotheses[0].tokens,
            EOS,
        )
        assert trace.lacks == (
            ()
            if is_best
            else ("the reranking, which has chosen another hypothesis than the best of the beam",)
        )
        reported.add(is_best)
    assert reported == {True, False}


def test_the_precision_of_the_translator_is_reported(make):
    translator = make()
    reduced = replace(translator, runner=replace(translator.runner, precision=torch.bfloat16))
    assert reduced.trace(LINE).lacks == (
        "the numbers of bfloat16, the precision of the translator, which may give other words",
    )
    found, expected = reduced.trace(LINE), translator.trace(LINE)
    assert found.translation.hypotheses == expected.translation.hypotheses
    assert found.tree.nodes == expected.tree.nodes


def test_a_sentence_is_cut_like_any_other(make):
    translator = replace(make(), max_source_length=2)
    assert translator.trace(LINE).source == ("w1", "w2", "</s>")


@pytest.mark.parametrize("line", ["", "  \t"])
def test_a_blank_sentence_has_no_trace(make, line):
    with pytest.raises(DataError, match="the sentence: is blank; give a text of at least one word"):
        make().trace(line)


def test_an_ensemble_has_no_trace(make):
    translator = make()
    both = Ensemble([translator.runner.model] * 2)
    with pytest.raises(ConfigError, match="--ensemble: not supported by a trace; trace one run"):
        replace(translator, runner=replace(translator.runner, model=both)).trace(LINE)


def test_rounded_weights_have_no_trace(make):
    translator = make()
    rounded = replace(translator.runner, precision=torch.int8)
    with pytest.raises(
        ConfigError, match="int8: cannot be traced, because weights are rounded; load the"
    ):
        replace(translator, runner=rounded).trace(LINE)


class Uncopied(nn.Module):
    def __deepcopy__(self, memo):
        raise TypeError("it holds a lock")


def test_a_module_that_cannot_be_copied_is_named(make):
    translator = make()
    translator.runner.model.decoder.extra = Uncopied()
    with pytest.raises(RunError, match=r"Uncopied cannot be copied \(it holds a lock\); give its"):
        translator.trace(LINE)


class Outside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))


def test_a_class_from_outside_that_is_not_recorded_is_named(make):
    translator = make()
    translator.runner.model.decoder.extra = Outside()
    (lacks,) = translator.trace(LINE).lacks
    assert lacks == "the arrays of Outside, a class from outside, are not recorded"


def test_a_cell_from_outside_with_its_own_step_has_no_gates(make):
    translator = make()
    model = copy_structure(translator.runner.model)
    cell = model.decoder.layers[0]

    class Own(type(cell)):
        def forward(self, projected, state, dropout_mask=None):
            return 0.5 * super().forward(projected, state, dropout_mask)

    cell.__class__ = Own
    arrays = record(model, [5, 6], [7]).arrays
    assert "decoder.cells.0.state" in arrays
    assert "decoder.cells.0.update_gate" not in arrays


def test_gates_that_a_cell_from_outside_overrides_with_its_step_are_recorded(make):
    model = copy_structure(make().runner.model)
    cell = model.decoder.layers[0]

    class Own(type(cell)):
        def forward(self, projected, state, dropout_mask=None):
            return self.gate_values(projected, state)[0]

    class Gated(Own):
        def gate_values(self, projected, state, dropout_mask=None):
            return tuple(0.5 * gate for gate in super().gate_values(projected, state))

    cell.__class__ = Gated
    arrays = record(model, [5, 6], [7]).arrays
    first = arrays[f"decoder.cells.0.{cell.gate_names[0]}"]
    np.testing.assert_array_equal(first, arrays["decoder.cells.0.state"])


def test_an_exported_file_gives_the_translation_only():
    translation = Translation(("ein Hund",), (Hypothesis((5, 6), -1.0, -0.5),))
    trace = Trace.of_exported("a dog", translation)
    view = trace.view()
    assert view["text"] == ["a dog", "ein Hund"]
    (lacks,) = view["lacks"]
    assert lacks.startswith(
        "states, gates, attention and beam, which stay inside the exported graph;"
    )
    assert (view["steps"], view["tree"], view["attention"]) == ([], None, None)
    assert json.loads(trace.to_json())["arrays"] == {}
