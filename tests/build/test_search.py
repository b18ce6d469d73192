import pickle
from math import inf
from typing import Any

import torch

from nmt.build.search import build_reranker, build_search
from nmt.config.decoding import DecodingConfig
from nmt.core.special_tokens import BOS, EOS
from nmt.evaluation.minimum_bayes_risk import BleuUtility, ChrfUtility
from nmt.search.beam import BeamSearch
from nmt.search.forbidden import ForbiddenPhrases
from nmt.search.request import Request
from nmt.search.rule_variants import EOSThreshold, NoRepeatedNgrams, RepetitionPenalty
from nmt.search.rules import LengthLimits, PartialHypotheses
from nmt.search.sampling import SamplingSearch
from nmt.search.search import Search
from nmt.text.normalization import Normalizer
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
        prefixes = PartialHypotheses(
            torch.tensor([[BOS]]), torch.tensor([0]), request, torch.tensor([1])
        )
        each.rules.rules[2](following, prefixes)
        assert following[0, EOS:].tolist() == [0.0, -inf, 0.0]


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
