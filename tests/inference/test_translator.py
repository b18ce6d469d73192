"""A tiny model with random weights: what holds for any model holds for it."""

import logging
import re
import shutil
import weakref
from collections import deque
from dataclasses import replace
from itertools import chain, groupby, islice, repeat
from pathlib import Path

import numpy as np
import pytest
import torch

from nmt.build.model import build_model
from nmt.config.decoding import DecodingConfig
from nmt.config.experiment import Config
from nmt.config.file import dump_config
from nmt.config.model import ModelConfig
from nmt.core.errors import ConfigError, RunError
from nmt.core.special_tokens import EOS, UNK
from nmt.evaluation.minimum_bayes_risk import ChrfUtility, expected_utilities
from nmt.inference import inputs
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.inputs import LineWarnings
from nmt.inference.loading import build_reranker, build_search, load_dictionary
from nmt.inference.translator import ExtraOutputs, Input, Translation, Translator
from nmt.nn import int8
from nmt.runs.checkpoint import save_checkpoint
from nmt.runs.run import RunDirectory
from nmt.search.hypothesis import Hypothesis
from nmt.search.rules import Rule
from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_trainer import SentencePieceTrainer
from nmt.text.storage import save_tokenizer
from nmt.text.words import WordTrainer
from nmt.word_alignment.from_attention import hard_alignment

WORDS = [f"w{index}" for index in range(40)]
MODEL = {
    "embedding": {"size": 16, "dropout": 0.5},
    "encoder": {"hidden_size": 16},
    "decoder": {"hidden_size": 24},
}
HOSTILE = [
    "",
    "   ",
    "\t",
    "w1 w2",
    "w1\nw2",
    "w1\r",
    "\x00",
    "<s> </s> <pad>",
    "\U0001f600 w3",
    "\ud800",
    "\u2028 \x85 \x0b",
    "▁ ￭ \ufeff",
    "w5 " * 3000,
    "é" * 5000,
]


@pytest.fixture(scope="module")
def tokenizer():
    return WordTrainer(Normalizer()).train(lambda: iter([" ".join(WORDS)]))


def make_translator(tokenizer, **decoding) -> Translator:
    torch.manual_seed(3)
    model = build_model(
        ModelConfig.model_validate(MODEL),
        len(tokenizer),
        len(tokenizer),
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "hidden" not in name:
                parameter.mul_(3.0)  # so that the source matters; but recurrence stays tame
        model.projection.bias[EOS] += 3.0
    options = DecodingConfig.model_validate({"max_length": 9, "beam_size": 3, **decoding})
    search = build_search(options, tokenizer)
    return Translator(
        BatchRunner(model, search, torch.device("cpu"), torch.float32, batch_tokens=200),
        source_reader=tokenizer,
        target_tokenizer=tokenizer,
        max_source_length=50,
        reranker=build_reranker(options),
        dictionary=load_dictionary(options),
    )


def computing(translator: Translator, **how) -> Translator:
    """The same, computing otherwise."""
    return replace(translator, runner=replace(translator.runner, **how))


@pytest.fixture(scope="module")
def translator(tokenizer) -> Translator:
    return make_translator(tokenizer)


def save_run(translator: Translator, folder: Path) -> RunDirectory:
    """The run that would have such a model."""
    run = RunDirectory.create(folder)
    config = Config.model_validate(
        {
            "run": str(folder),
            "data": {"train": {"source": "x", "target": "y"}, "valid": {"tsv": "z"}},
            "tokenizer": {"name": "words"},
            "model": MODEL,
            "decoding": {"max_length": 9, "beam_size": 3, "batch_tokens": 300},
        }
    )
    run.config.write_text(dump_config(config), encoding="utf-8")
    save_tokenizer(translator.source_reader, run.shared_tokenizer)
    save_checkpoint(run.checkpoint("best"), {"model": translator.runner.model.state_dict()}, {})
    return run


def random_lines(number: int, seed: int = 1) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=rng.integers(1, 15))) for _ in range(number)]


def texts(translations) -> list[str]:
    return [translation.text for translation in translations]


def test_the_model_is_worth_testing_with(translator):
    found = translator.translate(random_lines(50))
    assert len(set(texts(found))) > 20
    assert len({len(translation.hypotheses[0].tokens) for translation in found}) > 3


def test_repr_is_short(translator, tokenizer):
    size = sum(weight.numel() for weight in translator.runner.model.parameters())
    assert repr(translator) == f"Translator({size:,} parameters, BeamSearch of 3, cpu, float32)"
    greedy = make_translator(tokenizer, search="greedy", beam_size=1)
    half = computing(greedy, precision=torch.bfloat16)
    assert repr(half) == f"Translator({size:,} parameters, GreedySearch of 1, cpu, bfloat16)"
    first, second = Hypothesis((4, 5), -0.62, -0.3105), Hypothesis((4,), -0.9, -0.9)
    translation = Translation(("Ein Hund.", "Ein"), (first, second))
    assert repr(translation) == "Translation('Ein Hund.', score=-0.31)"
    long = repr(Translation(("Ein Hund. " * 1_000,), (first,)))
    assert long.startswith("Translation('Ein Hund") and len(long) < 60


def test_any_line_gives_one_line(translator):
    lines = list(chain(*zip(HOSTILE, random_lines(len(HOSTILE)), strict=True)))
    found = texts(translator.translate(lines))
    assert len(found) == len(lines)
    assert all(len(text.splitlines()) <= 1 for text in found)
    assert found[1::2] == texts(translator.translate(lines[1::2]))


def test_blank_text_becomes_empty(translator):
    for line in ("", "   ", "\t", "\u2028 \x85"):
        (translation,) = translator.translate([line], with_alignments=True)
        assert translation.text == ""
        assert translation.texts == ("",)
        assert translation.hypotheses == (Hypothesis((), 0.0, 0.0),)
        assert translation.alignment.weights.shape == (0, 0)
        assert translation.alignment.links == frozenset()


def test_no_lines_give_no_translations(translator):
    assert translator.translate([]) == []
    assert list(translator.score([])) == []
    assert list(translator.align([])) == []


def test_one_line_must_be_in_a_list(translator):
    with pytest.raises(TypeError, match=r"write translate\(\[line\]\)"):
        translator.translate("w1 w2")


@pytest.mark.parametrize(
    ("line", "kind"), [(None, "None"), (3, "int"), (b"w1", "bytes"), (("w1",), "(str)")]
)
def test_a_line_of_another_type_is_refused(translator, line, kind):
    with pytest.raises(TypeError) as raised:
        translator.translate(["w1", line])
    assert str(raised.value) == (f"translate: line 2 is {kind}; each line must be str or Input")
    windows = translator.translate_windows(["w1", line], warnings=LineWarnings(first_number=41))
    with pytest.raises(TypeError, match=r"^translate: line 42 is "):
        list(windows)


@pytest.mark.parametrize(
    ("lines", "kind"), [(None, "None"), (3, "int"), (b"w1", "bytes"), ("w1", "str")]
)
def test_argument_that_is_no_list_of_lines_is_refused(translator, lines, kind):
    with pytest.raises(TypeError) as raised:
        translator.translate(lines)
    assert str(raised.value) == (
        f"translate: must be a list of lines, not {kind}; for one line, write translate([line])"
    )


@pytest.mark.parametrize("name", ["score", "align"])
def test_a_pair_of_other_types_is_refused(translator, name):
    function = getattr(translator, name)
    for pair, kind in [
        (("w1", None), "(str, None)"),
        ((b"w1", "w2"), "(bytes, str)"),
        (("w1",), "(str)"),
        (("w1", "w2", "w3"), "(str, str, str)"),
        ("ab", "str"),
        (3, "int"),
    ]:
        with pytest.raises(TypeError) as raised:
            list(function([["w1", "w2"], pair]))
        assert str(raised.value) == (
            f"{name}: pair 2 is {kind}; each pair must be (source, target): (str, str)"
        )
    with pytest.raises(TypeError, match=rf"^{name}: pair 1 is str; each pair must be"):
        list(function(("w1", "w2")))
    for pairs in ("ab", None):
        with pytest.raises(TypeError, match=rf"^{name}: must be a list of pairs, not "):
            list(function(pairs))


@pytest.mark.parametrize(
    "fields",
    [
        {"source": None},
        {"source": b"w1"},
        {"source": "w1", "prefix": None},
        {"source": "w1", "phrases": "w2"},
        {"source": "w1", "phrases": ("w2", 3)},
    ],
)
def test_an_input_of_other_types_is_refused(fields):
    with pytest.raises(
        TypeError, match=r"^Input: source must be a str or Grid, prefix a str, phrases a tuple"
    ):
        Input(**fields)


def test_a_long_line_is_cut_with_a_warning_that_names_it(translator, caplog):
    words = " ".join(["w1 w2 w3 w4 w5"] * 20)
    with caplog.at_level(logging.WARNING):
        _, cut = translator.translate(["w1", words])
    assert [record.getMessage() for record in caplog.records] == [
        "line 2: the source has 100 tokens; only the first 50 are read (decoding.max_source_length)"
    ]
    (beginning,) = translator.translate([" ".join(words.split()[:50])])
    assert cut.hypotheses[0].tokens == beginning.hypotheses[0].tokens
    assert cut.hypotheses[0].score == pytest.approx(beginning.hypotheses[0].score, abs=1e-4)


def test_lines_are_numbered_through_the_windows(translator, caplog, monkeypatch):
    monkeypatch.setattr(inputs, "_MOST_ITEMS", 2)
    with caplog.at_level(logging.WARNING):
        translator.translate(["w1", "w1", "w1", "w1", "w2 " * 60])
        list(translator.score([("w1", "w1")] * 2 + [("w1", "w2 " * 60)]))
    assert [record.getMessage()[:20] for record in caplog.records] == [
        "line 5: the source h",
        "line 3: the target h",
    ]


def test_batches_of_any_size_give_the_same(translator):
    lines = random_lines(40)
    one, some, many = (
        computing(translator, batch_tokens=number).translate(lines) for number in (1, 100, 100_000)
    )
    assert texts(one) == texts(some) == texts(many)
    for alone, together in zip(one, many, strict=True):
        assert alone.hypotheses[0].score == pytest.approx(together.hypotheses[0].score, abs=1e-4)


def test_windows_do_not_change_translations(translator, monkeypatch):
    lines = random_lines(20)
    together = texts(translator.translate(lines))
    monkeypatch.setattr(inputs, "_MOST_ITEMS", 3)
    assert texts(translator.translate(lines)) == together


def test_a_stream_is_endless_and_read_as_wanted(translator, monkeypatch):
    monkeypatch.setattr(inputs, "_MOST_ITEMS", 3)
    stream = translator.translate_stream(repeat("w1 w2"))
    found = texts(next(stream) for _ in range(7))
    assert found == texts(translator.translate(["w1 w2"] * 7))


def test_first_of_n_best_equals_the_single_translation(tokenizer):
    lines = random_lines(30)
    several = make_translator(tokenizer, n_best=3).translate(lines)
    for one, three in zip(make_translator(tokenizer).translate(lines), several, strict=True):
        assert len(three.texts) == len(three.hypotheses) == 3
        assert one.text == three.text == three.texts[0]
        assert one.hypotheses[0].tokens == three.hypotheses[0].tokens


@pytest.mark.parametrize("is_quantized", [False, True], ids=["float32", "int8"])
@pytest.mark.parametrize("search", ["beam", "greedy"])
def test_the_score_of_a_translation_is_what_search_reports(
    tokenizer, search, is_quantized, monkeypatch
):
    translator = make_translator(tokenizer, search=search)
    if is_quantized:
        monkeypatch.setattr(int8, "_SMALLEST_WEIGHT", 0)
        translator.runner.model.quantize()
    lines = random_lines(40)
    found = translator.translate(lines)
    scores = list(translator.score(zip(lines, texts(found), strict=True)))
    assert len(scores) == len(lines)
    for translation, score in zip(found, scores, strict=True):
        best = translation.hypotheses[0]
        assert tokenizer.encode(translation.text) == list(best.tokens)  # words are unambiguous
        assert score.log_probability == pytest.approx(best.log_probability, abs=1e-4)
        assert score.num_tokens == len(best.tokens) + 1
        assert score.tokens == (*tokenizer.pieces(best.tokens), "</s>")


def test_scores_are_those_of_the_text_for_any_tokenization():
    """A model that knows nothing writes pieces that the tokenizer would join."""
    trainer = SentencePieceTrainer(Normalizer(), vocabulary_size=45)
    pieces = trainer.train(lambda: iter(WORDS + random_lines(50)))
    translator = make_translator(pieces, n_best=3)
    lines = random_lines(20)
    found = translator.translate(lines)
    reported = translator.translate(lines, with_scores=True)
    assert [one.texts for one in found] == [other.texts for other in reported]
    assert [one.hypotheses for one in found] != [other.hypotheses for other in reported]
    for rank in range(3):
        pairs = [(line, best.texts[rank]) for line, best in zip(lines, reported, strict=True)]
        for scored, best in zip(translator.score(pairs), reported, strict=True):
            hypothesis = best.hypotheses[rank]
            assert list(hypothesis.tokens) == pieces.encode(best.texts[rank])
            assert hypothesis.log_probability == pytest.approx(scored.log_probability, abs=1e-4)
            mean = scored.log_probability / scored.num_tokens
            assert hypothesis.score == pytest.approx(mean, abs=1e-4), "the average penalty"
    by_token = translator.translate([*lines, ""], with_token_scores=True)
    assert by_token[-1].token_log_probabilities == ((),)
    for one, other in zip(reported, by_token[:-1], strict=True):
        assert one.texts == other.texts
        for hypothesis, same, numbers in zip(
            one.hypotheses, other.hypotheses, other.token_log_probabilities, strict=True
        ):
            assert hypothesis.tokens == same.tokens and len(numbers) == len(same.tokens) + 1
            assert sum(numbers) == pytest.approx(hypothesis.log_probability, abs=1e-4)


def test_a_beam_finds_no_worse_scores_than_greedy(tokenizer):
    lines = random_lines(40)
    greedy, beam = (
        make_translator(tokenizer, search=search, length_penalty="none").translate(lines)
        for search in ("greedy", "beam")
    )
    totals = [sum(one.hypotheses[0].score for one in found) for found in (greedy, beam)]
    assert totals[1] > totals[0]


def test_empty_sides_are_scored_and_aligned(translator):
    pairs = [("", ""), ("w1", ""), ("", "w1 w2")]
    assert [score.num_tokens for score in translator.score(pairs)] == [1, 1, 3]
    assert all(score.log_probability < 0 for score in translator.score(pairs))
    assert [alignment.weights.shape for alignment in translator.align(pairs)] == [
        (0, 0),
        (0, 1),
        (2, 0),
    ]
    assert all(alignment.links == frozenset() for alignment in translator.align(pairs))


def test_pairs_do_not_depend_on_their_batch(translator):
    lines = random_lines(30)
    pairs = list(zip(lines, random_lines(30, seed=2), strict=True))
    alone = computing(translator, batch_tokens=1)
    for one, other in zip(alone.score(pairs), translator.score(pairs), strict=True):
        assert one.token_log_probabilities == pytest.approx(other.token_log_probabilities, abs=1e-4)
    for one, other in zip(alone.align(pairs), translator.align(pairs), strict=True):
        assert one.source_words == other.source_words and one.target_words == other.target_words
        assert one.weights == pytest.approx(other.weights, abs=1e-4)


def test_an_alignment_is_one_of_words(translator):
    ((alignment),) = translator.align([("w1, w2 (w3)", "w4 w5!")])
    assert alignment.source_words == ("w1,", "w2", "(w3)")
    assert alignment.target_words == ("w4", "w5!")
    assert alignment.weights.shape == (2, 3)
    assert (alignment.weights.sum(axis=1) <= 1.0 + 1e-6).all()
    best = alignment.weights.argmax(axis=1)
    assert alignment.links == {(int(best[0]), 0), (int(best[1]), 1)}


def test_translations_are_aligned_on_request(translator):
    lines = random_lines(20)
    assert all(found.alignment is None for found in translator.translate(lines))
    found = translator.translate(lines, with_alignments=True)
    again = translator.align(zip(lines, texts(found), strict=True))
    for line, translation, alignment in zip(lines, found, again, strict=True):
        assert translation.alignment.source_words == tuple(line.split())
        assert translation.alignment.target_words == tuple(translation.text.split())
        assert translation.alignment.weights == pytest.approx(alignment.weights, abs=1e-4)
        assert translation.alignment.links == alignment.links


def test_the_model_is_left_as_it_was(translator):
    translator.runner.model.train()
    before = {name: tensor.clone() for name, tensor in translator.runner.model.state_dict().items()}
    rng = torch.get_rng_state()
    stream = translator.translate_stream(random_lines(5))
    next(stream)
    assert translator.runner.model.training
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), rng)
    for name, tensor in translator.runner.model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_dropout_is_off(translator):
    lines = random_lines(10)
    translator.runner.model.train()
    assert texts(translator.translate(lines)) == texts(translator.translate(lines))
    pairs = [("w1 w2", "w3")]
    assert list(translator.score(pairs)) == list(translator.score(pairs))


def test_bfloat16_is_close(translator):
    reduced = computing(translator, precision=torch.bfloat16)
    lines = random_lines(20)
    assert len(reduced.translate(lines)) == 20
    pairs = list(zip(lines, random_lines(20, seed=2), strict=True))
    for one, other in zip(translator.score(pairs), reduced.score(pairs), strict=True):
        assert one.log_probability != other.log_probability
        assert one.log_probability == pytest.approx(other.log_probability, rel=0.05)


def test_int8_is_close_and_does_not_depend_on_the_batch(translator, tmp_path, monkeypatch):
    run = save_run(translator, tmp_path / "run")
    monkeypatch.setattr("torch.cpu._is_vnni_supported", lambda: True)
    monkeypatch.setattr(int8, "_SMALLEST_WEIGHT", 0)
    reduced = Translator.from_run(run.path, device="cpu", precision="int8")
    assert isinstance(reduced.runner.model.projection, int8.Int8Linear)
    lines = random_lines(20)
    found = reduced.translate(lines)
    alone = [reduced.translate([line])[0] for line in lines]
    assert texts(found) == texts(alone)
    pairs = list(zip(lines, random_lines(20, seed=2), strict=True))
    for one, other in zip(translator.score(pairs), reduced.score(pairs), strict=True):
        assert one.log_probability != other.log_probability
        assert one.log_probability == pytest.approx(other.log_probability, rel=0.05)


def test_a_run_translates_as_its_model_does(translator, tmp_path):
    run = save_run(translator, tmp_path / "run")
    loaded = Translator.from_run(str(run.path), device="cpu", precision="float32")
    lines = random_lines(10)
    assert loaded.runner.batch_tokens == 300 and loaded.max_source_length == 1000
    assert texts(loaded.translate(lines)) == texts(translator.translate(lines))


def test_decoding_can_differ_from_that_of_the_run(translator, tmp_path):
    run = save_run(translator, tmp_path / "run")
    decoding = DecodingConfig(beam_size=2, n_best=2, min_length=4, max_length=4)
    loaded = Translator.from_run(run.path, device="cpu", precision="float32", decoding=decoding)
    (found,) = loaded.translate(["w1 w2"])
    assert [len(hypothesis.tokens) for hypothesis in found.hypotheses] == [4, 4]


def test_invalid_search_is_refused_before_the_model_is_read(translator, tmp_path):
    run = save_run(translator, tmp_path / "run")
    shutil.rmtree(run.checkpoints)
    decoding = DecodingConfig.model_validate({"search": "greedy", "n_best": 2})
    with pytest.raises(
        ConfigError, match=r"decoding\.n_best: must be 1 with greedy search, not 2; set"
    ):
        Translator.from_run(run.path, decoding=decoding)


def test_missing_run_is_reported(tmp_path):
    with pytest.raises(RunError, match="no such folder"):
        Translator.from_run(tmp_path / "absent")


def test_a_rule_of_ones_own(translator, tmp_path):
    run = save_run(translator, tmp_path / "run")
    favourite = translator.target_tokenizer.encode("w7")[0]

    class Favourite(Rule):
        def __call__(self, log_probabilities, partial):
            others = torch.ones(log_probabilities.shape[1], dtype=torch.bool)
            others[[favourite, EOS]] = False
            log_probabilities[:, others] = -torch.inf

    fused = Translator.from_run(run.path, device="cpu", rules=[Favourite()])
    for translation in fused.translate(random_lines(5)):
        assert set(translation.text.split()) <= {"w7"}


def test_runs_translate_together(tokenizer, tmp_path):
    one = make_translator(tokenizer)
    run = save_run(one, tmp_path / "one")
    for parameter in one.runner.model.parameters():
        parameter.data.mul_(1.05)
    other = save_run(one, tmp_path / "other")
    alone = Translator.from_run(run.path, precision="float32")
    twice = Translator.from_run(run.path, precision="float32", ensemble=[run.path])
    both = Translator.from_run(
        run.path, precision="float32", ensemble=[other.path], average="linear"
    )
    lines = random_lines(20)
    assert texts(twice.translate(lines)) == texts(alone.translate(lines))
    found = both.translate(lines, with_alignments=True)
    assert texts(found) != texts(alone.translate(lines))
    scores = both.score(zip(lines, texts(found), strict=True))
    for translation, score in zip(found, scores, strict=True):
        assert translation.hypotheses[0].log_probability == pytest.approx(
            score.log_probability, abs=1e-4
        )


def test_run_uses_its_training_precision_if_supported(tokenizer, tmp_path, monkeypatch):
    run = save_run(make_translator(tokenizer), tmp_path / "run")
    for trained, has_it, expected in (
        ("float32", True, torch.float32),
        ("bfloat16", True, torch.bfloat16),
        ("bfloat16", False, torch.float32),
        ("auto", True, torch.bfloat16),
    ):
        monkeypatch.setattr("nmt.system.device.has_bfloat16", lambda device, has_it=has_it: has_it)
        options = run.config.read_text().splitlines()
        kept = [line for line in options if not line.startswith("precision:")]
        run.config.write_text("\n".join([*kept, f"precision: {trained}", ""]))
        assert Translator.from_run(run.path, device="cpu").runner.precision == expected
    monkeypatch.setattr("nmt.system.device.has_bfloat16", lambda device: False)
    with pytest.raises(ConfigError, match="'bfloat16' is not supported on"):
        Translator.from_run(run.path, device="cpu", precision="bfloat16")


def test_runs_over_other_vocabularies_do_not_translate_together(tokenizer, tmp_path):
    run = save_run(make_translator(tokenizer), tmp_path / "one")
    smaller = WordTrainer(Normalizer()).train(lambda: iter([" ".join(WORDS[:30])]))
    other = save_run(make_translator(smaller), tmp_path / "other")
    with pytest.raises(
        ConfigError, match=r"other: its source vocabulary differs from .*one; train"
    ):
        Translator.from_run(run.path, ensemble=[other.path])
    with pytest.raises(RunError, match="nowhere"):
        Translator.from_run(run.path, ensemble=[tmp_path / "nowhere"])


def test_translation_has_the_prefix_and_phrases(translator):
    lines = random_lines(6)
    free = translator.translate(lines)
    given = [
        Input(lines[0], prefix="w1 w2"),
        lines[1],
        Input(lines[2], phrases=("w5 w6", "w7")),
        Input(lines[3], prefix="w9", phrases=("w8",)),
        Input(""),
        Input("", prefix="w1", phrases=("w2",)),
    ]
    found = texts(translator.translate(given))
    assert found[0].startswith("w1 w2")
    assert found[1] == free[1].text
    assert "w5 w6" in found[2] and "w7" in found[2].split()
    assert found[3].startswith("w9") and "w8" in found[3].split()
    assert found[4:] == ["", ""]


def test_finished_jobs_are_not_kept_in_memory(translator, monkeypatch):
    monkeypatch.setattr("nmt.inference.inputs._MOST_ITEMS", 3)
    alive: set[int] = set()
    most = 0

    def inputs():
        nonlocal most
        for number, line in enumerate(random_lines(60)):
            given = Input(line)
            alive.add(number)
            weakref.finalize(given, alive.discard, number)
            yield given
            del given
            most = max(most, len(alive))

    assert sum(len(window) for window in translator.translate_windows(inputs())) == 60
    assert most <= 9  # a window that is read, one that is searched, one that is written


def test_unmet_constraint_is_named_and_the_line_translated(tokenizer, translator, caplog):
    line = random_lines(1)[0]
    many = tuple(f"w{index} w{index + 1} w{index + 2}" for index in range(1, 28, 3))
    given = [line, Input(line, phrases=("w3", "unheard")), Input(line, phrases=many)]
    *found, blank = texts(translator.translate([*given, Input("   ", phrases=("w3",))]))
    assert all(found) and blank == "" and "line 4" not in caplog.text
    assert "w3" in found[1].split()
    assert "line 2: 'unheard' has characters or words unknown to the model" in caplog.text
    assert "line 3: no translation contains 'w" in caplog.text
    impossible = make_translator(tokenizer, forbidden=["w3"])
    (free,), (asked,) = (
        impossible.translate([Input(line, phrases=phrases)]) for phrases in ((), ("w3",))
    )
    assert asked == free  # and not what a search for it would have gone on with


@pytest.mark.parametrize("search", ["greedy", "sampling", "diverse_beam"])
def test_phrases_are_refused_by_searches_without_support(tokenizer, search):
    translator = make_translator(tokenizer, search=search, beam_size=5)
    assert translator.translate(["w1", Input("w1", prefix="w2")])
    message = re.escape(
        "--constraints: required phrases are only supported with beam search; set "
        "decoding.search to beam (--search beam)"
    )
    with pytest.raises(ConfigError, match=f"^{message}$"):
        translator.translate(["w1", Input("w1", phrases=("w2",))])


def test_constraint_lost_in_the_second_search_is_named(tokenizer, translator, caplog, monkeypatch):
    asked = []

    def search_windows(runner, windows, report=None):
        for window, sources, constraints in windows:
            asked.append(
                [[tokenizer.decode(phrase) for phrase in one.phrases] for one in constraints]
            )
            found = [tuple(tokenizer.encode(answers.pop(0))) for _ in sources]
            yield window, [[Hypothesis(tokens, -1.0, -1.0)] for tokens in found]

    monkeypatch.setattr(BatchRunner, "search_windows", search_windows)
    answers = ["w8 w1", "w9", "w2 w8", "w5", "w5"]  # the first two come of one search
    given = [Input("w1", phrases=("w1", "w2", "w8")), Input("w1", phrases=("w9",))]
    assert texts(translator.translate(given)) == ["w5", "w9"]
    assert asked == [[["w1", "w2", "w8"], ["w9"]], [["w1", "w8"]], [["w8"]], [[]]]
    lost = [message.split(" and meets")[0] for message in caplog.messages]
    begun = "line 1: no translation contains"
    assert lost == [f"{begun} '{word}'" for word in ("w2", "w1", "w8")]


def test_last_word_of_a_prefix_may_continue():
    text = ["one t-shirt", "two shirts", "a yellow-shirt (shirt)", "on to one onto one"] * 3
    pieces = SentencePieceTrainer(Normalizer(), vocabulary_size=36).train(lambda: iter(text))
    translator = make_translator(pieces, n_best=3)
    found = translator.translate([Input(line, prefix="a on ") for line in text[:4]])
    written = [text for translation in found for text in translation.texts]
    assert all(text.startswith("a on") for text in written)
    assert any(re.match(r"a on\w", text) for text in written)


def test_prefix_with_unknown_words_is_reported(translator, caplog):
    translator.translate([Input("w1", prefix="w2 unheard")])
    assert (
        "line 1: the prefix 'w2 unheard' has characters or words unknown to the model"
        in caplog.text
    )


def test_too_long_prefix_does_not_affect_other_lines(translator, caplog):
    expected = translator.translate(["w1", "w2", Input("w1", prefix="w2")])
    given = ["w1", Input("w2", prefix="w1 " * 10), Input("w1", prefix="w2")]
    assert [one.texts for one in translator.translate(given)] == [one.texts for one in expected]
    (message,) = caplog.messages
    assert message.startswith("line 2: the prefix has 10 tokens, above decoding.max_length ")
    assert message.endswith("); it is translated without the prefix")


def test_samples_depend_only_on_the_line(tokenizer):
    sampler = make_translator(tokenizer, search={"name": "sampling"}, n_best=2)
    lines = random_lines(30)
    together = sampler.translate([*lines, lines[0]])
    assert together[0] == together[-1]
    assert [sampler.translate([line])[0].texts for line in lines] == [
        translation.texts for translation in together[:-1]
    ]
    other = make_translator(tokenizer, search={"name": "sampling", "seed": 2}, n_best=2)
    assert texts(other.translate(lines)) != texts(together[:-1])


def test_scores_of_texts_keep_their_penalties():
    """The penalties stay though a text in the tokenizer's own pieces has another probability."""
    text = ["one t-shirt", "two shirts", "a yellow-shirt (shirt)", "on to one onto one"] * 3
    pieces = SentencePieceTrainer(Normalizer(), vocabulary_size=36).train(lambda: iter(text))
    strict = make_translator(pieces, repetition_penalty=1.5, coverage_penalty="gnmt", n_best=3)
    found = strict.translate(text[:4])
    scored = strict.translate(text[:4], with_scores=True)

    def penalties(translations) -> list[float]:
        """Return what each score is below the mean log-probability of its tokens."""
        return [
            item.score - item.log_probability / (len(item.tokens) + 1)
            for translation in translations
            for item in translation.hypotheses
        ]

    assert texts(scored) == texts(found)
    assert penalties(scored) == pytest.approx(penalties(found), abs=1e-5)
    assert min(penalties(found)) < -0.1
    pairs = zip(found, scored, strict=True)
    others = [
        (old, new)
        for one, other in pairs
        for old, new in zip(one.hypotheses, other.hypotheses, strict=True)
        if old.tokens != new.tokens
    ]
    assert len(others) > 3, "the search has written pieces that the tokenizer does not"
    assert all(old.log_probability != new.log_probability for old, new in others)


def test_forbidden_words_are_not_written(tokenizer, translator):
    lines = random_lines(20)
    written = {word for text in texts(translator.translate(lines)) for word in text.split()}
    word = sorted(written)[0]
    without = make_translator(tokenizer, forbidden=[word, "unheard"])
    assert word not in " ".join(texts(without.translate(lines))).split()


@pytest.mark.parametrize(
    "options",
    [
        {"search": {"name": "sampling"}, "mbr_candidates": 20},
        {"beam_size": 8, "mbr_candidates": 8},
    ],
    ids=["samples", "beam"],
)
def test_most_similar_candidate_is_chosen(tokenizer, options):
    lines = [*random_lines(8), ""]
    finder = make_translator(tokenizer, **options, n_best=options["mbr_candidates"])
    candidates = finder.translate(lines)
    chosen = make_translator(tokenizer, **options, mbr="chrf", n_best=3).translate(lines)
    for line, found in zip(candidates, chosen, strict=True):
        numbers = [hypothesis.log_probability for hypothesis in line.hypotheses]
        weights = np.exp(np.array(numbers) - max(numbers))
        if "search" in options:
            weights = np.ones(len(numbers))
        worth = expected_utilities(line.texts, list(weights / weights.sum()), ChrfUtility())
        best = sorted(dict(zip(line.texts, worth, strict=True)).items(), key=lambda item: -item[1])
        assert [item.score for item in found.hypotheses] == pytest.approx(
            [score for _, score in best[:3]]
        )
        assert len(set(found.texts)) == len(found.texts) == min(3, len(set(line.texts)))
    again = make_translator(tokenizer, **options, mbr="chrf", n_best=3)
    scored = again.translate(lines, with_scores=True)
    assert [line.hypotheses[0].score for line in scored] == pytest.approx(
        [line.hypotheses[0].score for line in chosen]
    )


def test_unknown_words_come_from_the_source(tokenizer, tmp_path):
    copies = make_translator(tokenizer, replace_unknown=True)
    copies.runner.model.projection.bias.data[UNK] += 6.0
    lines = [f"{line} Zorp" for line in random_lines(10)]
    found = copies.translate(lines, with_scores=True, with_alignments=True)
    assert any(UNK in translation.hypotheses[0].tokens for translation in found)
    for line, translation in zip(lines, found, strict=True):
        assert "⁇" not in translation.text
        unknown = set(translation.text.split()) - set(WORDS)
        assert unknown <= {"Zorp"}
        copied = [
            word
            for word, token in zip(
                translation.text.split(), translation.hypotheses[0].tokens, strict=True
            )
            if token == UNK
        ]
        assert set(copied) <= set(line.split())
    (tmp_path / "words").write_text("".join(f"{word}\tjemand\n" for word in [*WORDS, "Zorp"]))
    options = {"replace_unknown": True, "dictionary": str(tmp_path / "words")}
    looked_up = replace(copies, dictionary=load_dictionary(DecodingConfig(**options)))
    for translation in looked_up.translate(lines):
        tokens = translation.hypotheses[0].tokens
        runs = [UNK for token, _ in groupby(tokens) if token == UNK]
        assert len(runs) <= translation.text.split().count("jemand") <= tokens.count(UNK)


@pytest.mark.parametrize("mbr", ["none", "chrf"])
def test_alignments_are_of_the_words_that_are_written(tokenizer, tmp_path, mbr):
    entries = "".join(f"{word}\tder {word}\n" for word in [*WORDS, "Zorp"])
    (tmp_path / "words").write_text(entries)
    options = {"mbr": mbr, "mbr_candidates": 3, "n_best": 2}
    copies = make_translator(
        tokenizer, replace_unknown=True, dictionary=str(tmp_path / "words"), **options
    )
    copies.runner.model.projection.bias.data[UNK] += 6.0
    lines = [f"{line} Zorp" for line in random_lines(10)]
    found = copies.translate(lines, with_alignments=True)
    assert any("der Zorp" in translation.text for translation in found)
    for line, translation in zip(lines, found, strict=True):
        alignment, words = translation.alignment, translation.text.split()
        assert list(alignment.target_words) == words
        assert alignment.weights.shape == (len(words), len(line.split()))
        assert alignment.links == hard_alignment(alignment.weights)
        for place in (place for place, word in enumerate(words) if word == "der"):
            assert (alignment.weights[place] == alignment.weights[place + 1]).all()
            copied = line.split()[alignment.weights[place].argmax()]
            assert words[place + 1] == copied


def test_without_it_unknown_words_are_not_written(tokenizer):
    plain = make_translator(tokenizer)
    plain.runner.model.projection.bias.data[UNK] += 6.0
    for translation in plain.translate(random_lines(10)):
        assert UNK not in translation.hypotheses[0].tokens


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_any_number_of_threads_finds_exactly_the_same(translator, monkeypatch, precision):
    """Alignments and scores of a window are computed while what follows it is searched."""
    monkeypatch.setattr(inputs, "_MOST_ITEMS", 15)
    translator = computing(translator, batch_tokens=30, precision=precision)
    lines = [*random_lines(40), ""]
    found = []
    before = torch.get_num_threads()
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        with translator.with_workers(number) as parallel:
            found += [parallel.translate(lines, with_alignments=True, with_scores=True)]
            found += [parallel.translate(lines[:2], with_alignments=True, with_scores=True)]
            pairs = list(zip(lines, texts(found[0]), strict=True))
            found += [list(parallel.score(pairs))]
    torch.set_num_threads(before)
    for one, few, scores in zip(found[3::3], found[4::3], found[5::3], strict=True):
        for mine, first in zip((one, few), found[:2], strict=True):
            assert [each.hypotheses for each in mine] == [each.hypotheses for each in first]
            for each, other in zip(mine, first, strict=True):
                assert (each.alignment.weights == other.alignment.weights).all()
        assert scores == found[2]


def test_threads_are_those_of_torch_at_most_eight_and_one_with_an_observer(translator, monkeypatch):
    asked = []

    def spy(function, jobs, num_threads):
        asked.append(num_threads)
        return ((item, function(*job)) for item, job in jobs)

    monkeypatch.setattr("nmt.inference.batch_inference.map_in_threads", spy)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    many = computing(translator, batch_tokens=20)
    lines = random_lines(20)
    expected = texts(many.translate(lines))
    assert asked == [], "one thread: in that of the caller"
    for number, given, used in ((3, None, 3), (40, None, 8), (3, 2, 2), (3, 40, 40)):
        monkeypatch.setattr(torch, "get_num_threads", lambda number=number: number)
        monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
        assert texts(computing(many, num_threads=given).translate(lines)) == expected
        assert asked.pop() == used
    translator.translate(lines[:3])
    assert asked == [], "one batch"
    observed = computing(many, observer=lambda step: None, num_threads=5)
    assert texts(observed.translate(lines)) == expected
    assert asked == []


def test_an_error_of_the_input_comes_after_the_translations_before_it(translator, monkeypatch):
    monkeypatch.setattr(inputs, "_MOST_ITEMS", 3)
    lines = iter([*random_lines(3), 5])
    with translator.with_workers(2) as parallel:
        windows = parallel.translate_windows(lines)
        assert len(next(windows)) == 3
        with pytest.raises(TypeError, match="line 4"):
            next(windows)


class Hasty:
    """In the place of ranks: it takes three batches before it does the first of them."""

    def __init__(self, tool: BatchRunner) -> None:
        self.tool = tool
        self.num_ahead = 0

    def map(self, function, jobs):
        rest = iter(jobs)
        given = deque(islice(rest, 3))
        while given:
            self.num_ahead = max(self.num_ahead, len(given))
            yield function(self.tool, *given.popleft())
            given.extend(islice(rest, 1))


@pytest.mark.parametrize("hastily", [False, True])
def test_windows_do_not_depend_on_prefetching(translator, monkeypatch, hastily):
    words = [" ".join(WORDS[first : first + 5]) for first in range(12)]
    lines = ["", *words[:6], "", "", "", "", "", *words[6:], ""]
    expected = translator.translate(lines, with_alignments=True, with_scores=True)
    monkeypatch.setattr(inputs, "_MOST_ITEMS", 4)
    hasty = Hasty(translator.runner)
    told = []
    found = computing(translator, batch_tokens=12, ranks=hasty if hastily else None)
    extra = ExtraOutputs(alignments=True, scores=True)
    windows = found.translate_windows(lines, extra, report=told.append)
    sizes = []
    for window in windows:
        sizes.append(len(window))
        assert sum(told) == sum(sizes)
        same = expected[sum(sizes) - len(window) : sum(sizes)]
        translations = [translation for _, translation in window]
        assert texts(translations) == texts(same)
        for one, other in zip(translations, same, strict=True):
            assert (one.alignment is None) == (other.alignment is None)
    assert sizes == [4, 4, 4, 4, 3]
    assert told == [2, 1, 1, 2, 1, 1, 0, 4, 2, 2, 0, 2, 1], "by batches; then lines without text"
    assert hasty.num_ahead == (3 if hastily else 0)


def test_workers_are_refused_on_a_gpu(translator):
    on_gpu = computing(translator, device=torch.device("cuda"))
    with (
        pytest.raises(ConfigError, match="--workers: only supported on the CPU, not on"),
        on_gpu.with_workers(2),
    ):
        pass
