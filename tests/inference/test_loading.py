import pickle
from math import inf
from typing import Any

import pytest
import torch

from nmt.config.decoding import DecodingConfig
from nmt.core.special_tokens import BOS, EOS
from nmt.evaluation.minimum_bayes_risk import BleuUtility, ChrfUtility
from nmt.inference.loading import build_reranker, build_search, choose_batch_tokens
from nmt.search.beam import BeamSearch
from nmt.search.constraints import ForbiddenPhrases
from nmt.search.request import Request
from nmt.search.rules import (
    EOSThreshold,
    LengthLimits,
    NoRepeatedNgrams,
    PartialHypotheses,
    RepetitionPenalty,
)
from nmt.search.sampling import SamplingSearch
from nmt.search.search import Search
from nmt.text.characters import CharacterTrainer
from nmt.text.normalization import Normalizer
from nmt.text.tokenizer import Tokenizer
from nmt.text.words import WordTrainer


def search_of(**decoding: Any) -> Search:
    tokenizer = WordTrainer(Normalizer()).train(lambda: iter(["one two"]))
    return build_search(DecodingConfig.model_validate(decoding), tokenizer)


def test_decoding_options_become_rules() -> None:
    assert search_of().rules.rules == ()
    repetition, ngrams, forbidden, end = search_of(
        eos_threshold=1.5, forbidden=["one"], no_repeat_ngram_size=3, repetition_penalty=1.2
    ).rules.rules
    assert isinstance(repetition, RepetitionPenalty) and repetition.factor == 1.2
    assert isinstance(ngrams, NoRepeatedNgrams) and ngrams.size == 3
    assert isinstance(forbidden, ForbiddenPhrases)
    assert isinstance(end, EOSThreshold) and end.factor == 1.5
    assert search_of(forbidden=[" "]).rules.rules == ()


def test_search_with_all_rules_can_be_pickled() -> None:
    search = search_of(
        eos_threshold=1.5, forbidden=["one"], no_repeat_ngram_size=3, repetition_penalty=1.2
    )
    there = pickle.loads(pickle.dumps(search))
    assert [type(rule) for rule in there.rules.rules] == [type(rule) for rule in search.rules.rules]
    request = Request(torch.tensor([1]))
    for each in (search, there):
        following = torch.zeros(1, 6)
        partial = PartialHypotheses(torch.tensor([[BOS]]), torch.tensor([0]), request)
        each.rules.rules[2](following, partial)
        assert following[0, EOS:].tolist() == [0.0, -inf, 0.0]


def forbidden_after(tokenizer: Tokenizer, phrases: list[str], written: str) -> set[str]:
    """The pieces that must not follow a text."""
    config = DecodingConfig.model_validate({"forbidden": phrases})
    (rule,) = build_search(config, tokenizer).rules.rules
    following = torch.zeros(1, len(tokenizer))
    tokens = torch.tensor([[BOS, *tokenizer.encode(written)]])
    rule(following, PartialHypotheses(tokens, torch.tensor([0]), Request(torch.tensor([1]))))
    return {*tokenizer.pieces((following[0] == -inf).nonzero().flatten().tolist())}


def test_forbidden_words_are_tokens_in_the_case_given() -> None:
    tokenizer = WordTrainer(Normalizer()).train(lambda: iter(["one two Two three ."]))
    assert forbidden_after(tokenizer, ["two", "one three"], "") == {"two"}
    assert forbidden_after(tokenizer, ["two", "one three"], "two one") == {"two", "three"}
    lower = WordTrainer(Normalizer(lowercase=True)).train(lambda: iter(["one two ."]))
    assert forbidden_after(lower, ["Two"], "one") == {"two"}


def test_forbidden_characters_start_at_a_space_or_the_beginning() -> None:
    tokenizer = CharacterTrainer(Normalizer()).train(lambda: iter(["an ant"]))
    assert forbidden_after(tokenizer, ["an"], "a") == {"n"}
    assert forbidden_after(tokenizer, ["an"], "na") == set()
    assert forbidden_after(tokenizer, ["an"], "t a") == {"n"}


def test_phrases_with_unknown_words_are_not_forbidden() -> None:
    assert search_of(forbidden=["one three", "four"]).rules.rules == ()


def test_decoding_options_become_limits() -> None:
    limits = search_of(
        min_length=3, max_length=90, min_length_ratio=0.4, max_length_ratio=2.5
    ).rules.limits
    assert limits == LengthLimits(3, 90, 0.4, 2.5)
    assert limits.min_lengths(torch.tensor([5, 20])).tolist() == [3, 8]
    assert limits.max_lengths(torch.tensor([4, 50])).tolist() == [20, 90]
    assert search_of(max_length_ratio=None).rules.limits.max_length_ratio is None


def test_search_gets_its_options() -> None:
    for given, expected in (("beam", "exact"), ({"name": "beam", "stopping": "first"}, "first")):
        beam = search_of(search=given)
        assert isinstance(beam, BeamSearch) and beam.stopping == expected
    sampling = search_of(
        search={"name": "sampling", "top_p": 0.9, "epsilon": 0.02, "top_k": 7, "temperature": 0.5}
    )
    assert isinstance(sampling, SamplingSearch)
    options = (sampling.top_p, sampling.epsilon, sampling.top_k, sampling.temperature)
    assert options == (0.9, 0.02, 7, 0.5)


def test_reranker_gets_its_options() -> None:
    assert build_reranker(DecodingConfig()) is None
    for name, utility in (("bleu", BleuUtility), ("chrf", ChrfUtility)):
        options = {"mbr": name, "search": "sampling", "n_best": 2}
        chooser = build_reranker(DecodingConfig.model_validate(options), "zh")
        assert chooser is not None and type(chooser.utility) is utility
        assert chooser.utility.tokenizer == "zh"
        assert (chooser.n_best, chooser.are_samples) == (2, True)


@pytest.mark.parametrize(
    ("given", "device", "expected"),
    [
        ({}, "cpu", 1_000),
        ({"batch_tokens": 999}, "cpu", 999),
        ({"beam_size": 1}, "cpu", 2_000),
        ({"search": "greedy"}, "cpu", 2_000),
        ({"search": "greedy", "batch_tokens": 50}, "cpu", 50),
        ({}, "cuda", 4_000),
        ({"batch_tokens": 9_000}, "cuda", 9_000),
    ],
)
def test_batches_are_small_on_a_cpu(given: dict[str, Any], device: str, expected: int) -> None:
    options = DecodingConfig.model_validate(given)
    assert choose_batch_tokens(options, torch.device(device)) == expected
