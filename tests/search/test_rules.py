"""Rules, one by one by hand, and all of them against everything that they allow."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, product
from math import inf

import pytest
import torch
from torch import Tensor

from nmt.core.special_tokens import BOS, EOS, UNK
from nmt.search.beam import BeamSearch
from nmt.search.constraints import ForbiddenPhrases
from nmt.search.length_penalty import NoPenalty
from nmt.search.request import Request, VocabularySubset
from nmt.search.rules import (
    EOSThreshold,
    LengthLimits,
    NoRepeatedNgrams,
    PartialHypotheses,
    RepetitionPenalty,
    Rule,
    Rules,
)
from nmt.search.search import Scoring
from nmt.search.table import SEARCHES

A, B, C = EOS + 1, EOS + 2, EOS + 3
LIMITS = LengthLimits(max_length=4, max_length_ratio=None)


def partial(*written: list[int]) -> PartialHypotheses:
    tokens = torch.tensor([[BOS, *words] for words in written])
    rows = torch.arange(len(written))
    lengths = torch.full((len(written),), 5)
    return PartialHypotheses(tokens, rows, Request(lengths))


def allowed_after(rule: Rule, *written: list[int]) -> list[list[int]]:
    """The tokens from EOS on that are not forbidden, where all were as probable."""
    log_probabilities = torch.full((len(written), C + 1), -1.0)
    rule(log_probabilities, partial(*written))
    return [
        [token for token in range(EOS, C + 1) if row[token] > -inf] for row in log_probabilities
    ]


def test_no_bigram_comes_twice() -> None:
    rule = NoRepeatedNgrams(2)
    assert allowed_after(rule, [A, B, C, A], [A, A, B, B]) == [[EOS, A, C], [EOS, A, C]]
    assert allowed_after(rule, []) == [[EOS, A, B, C]]
    assert allowed_after(rule, [A]) == [[EOS, A, B, C]]
    assert allowed_after(rule, [A, A]) == [[EOS, B, C]]


def test_no_token_comes_twice() -> None:
    assert allowed_after(NoRepeatedNgrams(1), [A, C]) == [[EOS, B]]


def test_no_trigram_comes_twice() -> None:
    rule = NoRepeatedNgrams(3)
    assert allowed_after(rule, [A, B, C, A, B], [A, B, C, B, B]) == [[EOS, A, B], [EOS, A, B, C]]
    assert allowed_after(rule, [A, B], [A, A]) == [[EOS, A, B, C]] * 2


def test_repetition_penalty_lowers_generated_tokens() -> None:
    log_probabilities = torch.tensor([[-9.0, -9.0, -9.0, -1.0, -2.0, -3.0, -4.0]])
    RepetitionPenalty(1.5)(log_probabilities, partial([A, C, A]))
    assert log_probabilities[0, EOS:].tolist() == [-1.0, -3.0, -3.0, -6.0]


def bigrams(tokens: Tensor) -> Tensor:
    """A language model: after each token another distribution."""
    table = torch.randn(C + 1, C + 1, generator=torch.Generator().manual_seed(9))
    return table.log_softmax(dim=1)[tokens[:, -1]]


class LanguageModel(Rule):
    """A rule of one's own that changes what is ranked by (Gulcehre 2015, section 4.1)."""

    forbids = False

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, log_probabilities: Tensor, partial: PartialHypotheses) -> None:
        said = bigrams(partial.vocabulary_tokens())
        subset = partial.request.subset
        log_probabilities += self.weight * (said if subset is None else said[:, subset.tokens])


def test_language_model_contributes_to_the_ensemble() -> None:
    log_probabilities = torch.full((2, C + 1), -2.0)
    given = partial([A], [B])
    LanguageModel(0.5)(log_probabilities, given)
    expected = -2.0 + 0.5 * bigrams(torch.tensor([[A], [B]]))
    torch.testing.assert_close(log_probabilities, expected)
    # Where a search sees A and C alone, as columns 4 and 5, it says the same of them.
    subset = VocabularySubset([A, C])
    request = replace(given.request, subset=subset)
    few = torch.full((2, 6), -2.0)
    after = replace(given, tokens=torch.tensor([[BOS, 4], [BOS, 5]]), request=request)
    LanguageModel(0.5)(few, after)
    assert subset.tokens.tolist() == [0, 1, 2, 3, A, C]
    expected = -2.0 + 0.5 * bigrams(torch.tensor([[A], [C]]))
    torch.testing.assert_close(few, expected[:, subset.tokens])


@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_the_best_of_two_models_together(random_model, seed):
    model = random_model(C + 1, seed)
    rules = Rules(LIMITS, [LanguageModel(0.7)])
    ((*found,),) = model.translate(BeamSearch(200, 200, Scoring(NoPenalty()), rules), [seed], [3])

    def score(tokens: tuple[int, ...]) -> float:
        written = (BOS, *tokens, EOS)[: LIMITS.max_length + 1]  # the last EOS is no choice
        said = sum(float(bigrams(torch.tensor([[a]]))[0, b]) for a, b in pairwise(written))
        return model.log_probability(seed, tokens) + 0.7 * said

    every = [tokens for length in range(5) for tokens in product((A, B, C), repeat=length)]
    assert [item.tokens for item in found] == sorted(every, key=lambda tokens: -score(tokens))
    for hypothesis in found:
        assert hypothesis.score == pytest.approx(score(hypothesis.tokens), abs=1e-4)
        total = model.log_probability(seed, hypothesis.tokens)
        assert hypothesis.log_probability == pytest.approx(total, abs=1e-5)


def test_eos_below_the_threshold_is_forbidden() -> None:
    log_probabilities = torch.tensor([[-9.0] * 3 + [-2.0, -1.5, -4.0]])
    for factor, end in ((1.0, -inf), (1.3, -inf), (1.4, -2.0)):
        changed = log_probabilities.clone()
        EOSThreshold(factor)(changed, partial([A]))
        assert changed[0, EOS] == end
        assert torch.equal(changed[0, A:], log_probabilities[0, A:])


def test_an_end_that_is_the_most_probable_stays() -> None:
    log_probabilities = torch.tensor([[-0.1] * 3 + [-1.0, -1.5, -4.0], [-9.0] * 3 + [-4.0] * 3])
    EOSThreshold(1.0)(log_probabilities, partial([A], [A]))
    assert log_probabilities[:, EOS].tolist() == [-1.0, -inf]  # of equals it is not sure enough
    alone = torch.full((1, EOS + 1), -1.0)
    EOSThreshold(1.0)(alone, partial([]))
    assert alone[0, EOS] == -1.0, "where nothing else is, it ends"


def repeats(tokens: tuple[int, ...], size: int) -> bool:
    ngrams = [tokens[start : start + size] for start in range(len(tokens) - size + 1)]
    return len(set(ngrams)) < len(ngrams)


Plain = Callable[[tuple[int, ...]], bool]
FORBIDDING: dict[str, tuple[Rule, Plain]] = {
    "no bigram twice": (NoRepeatedNgrams(2), lambda tokens: not repeats(tokens, 2)),
    "no token twice": (NoRepeatedNgrams(1), lambda tokens: not repeats(tokens, 1)),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", FORBIDDING)
def test_a_wide_beam_finds_the_best_that_a_rule_allows(random_model, name, seed):
    rule, is_allowed = FORBIDDING[name]
    model = random_model(C + 1, seed)
    search = BeamSearch(200, 200, Scoring(NoPenalty()), Rules(LIMITS, [rule]))
    ((*found,),) = model.translate(search, [seed], [3])
    every = model.all_hypotheses(seed, search.scoring, LIMITS, 3)
    expected = [hypothesis for hypothesis in every if is_allowed(hypothesis.tokens)]
    assert [item.tokens for item in found] == [item.tokens for item in expected]
    assert [item.log_probability for item in found] == pytest.approx(
        [item.log_probability for item in expected], abs=1e-5
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_the_best_under_a_repetition_penalty(random_model, seed):
    model = random_model(C + 1, seed)
    search = BeamSearch(200, 200, Scoring(NoPenalty()), Rules(LIMITS, [RepetitionPenalty(2.0)]))
    ((*found,),) = model.translate(search, [seed], [3])

    def score(tokens: tuple[int, ...]) -> float:
        total = 0.0
        for place, token in enumerate((*tokens, EOS)):
            before = model.log_probability(seed, tokens[:place], end=False)
            until = model.log_probability(seed, (*tokens, EOS)[: place + 1], end=False)
            total += (until - before) * (2.0 if token in tokens[:place] else 1.0)
        return total

    every = [tokens for length in range(5) for tokens in product((A, B, C), repeat=length)]
    expected = sorted(every, key=lambda tokens: -score(tokens))
    assert [item.tokens for item in found] == expected
    for hypothesis in found:
        assert hypothesis.score == pytest.approx(score(hypothesis.tokens), abs=1e-5)
        total = model.log_probability(seed, hypothesis.tokens)
        assert hypothesis.log_probability == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_translation_begins_with_its_prefix(random_model, make_search, name):
    model = random_model(30, seed=1)
    rules = Rules(LengthLimits(max_length=6, max_length_ratio=None), [NoRepeatedNgrams(1)])
    search = make_search(name, Scoring(NoPenalty()), rules)
    given = [[9, UNK, 9], [5, 0, 0], [0, 0, 0]]
    found = model.translate(search, [0, 1, 2], [5] * 3, prefixes=torch.tensor(given))
    assert found[0][0].tokens[:3] == (9, UNK, 9)  # the rule gives way, and UNK is no obstacle
    assert found[1][0].tokens[:1] == (5,)
    free = model.translate(search, [2], [5])
    assert found[2] == free[0]
    for sentence, (best,) in enumerate(found):
        total = model.log_probability(sentence, best.tokens)
        assert best.log_probability == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("seed", range(2))
def test_a_wide_beam_finds_the_best_that_begins_so(random_model, seed):
    model = random_model(C + 1, seed)
    search = BeamSearch(200, 200, Scoring(NoPenalty()), Rules(LIMITS))
    ((*found,),) = model.translate(search, [seed], [3], prefixes=torch.tensor([[B, A]]))
    every = model.all_hypotheses(seed, search.scoring, LIMITS, 3)
    expected = [item.tokens for item in every if item.tokens[:2] == (B, A)]
    assert [item.tokens for item in found] == expected


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_prefix_longer_than_the_limit_is_the_translation(random_model, make_search, name):
    model = random_model(30, seed=1)
    rules = Rules(LengthLimits(max_length=2, max_length_ratio=None))
    search = make_search(name, Scoring(NoPenalty()), rules)
    ((best,),) = model.translate(search, [0], [5], prefixes=torch.tensor([[9, 8, 7]]))
    assert best.tokens == (9, 8, 7)


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_translation_ends_if_every_token_is_forbidden(random_model, make_search, name):
    model = random_model(C + 1, seed=1)
    model.table[:, EOS] = -9.0
    limits = LengthLimits(min_length=5, max_length=9, max_length_ratio=None)
    rules = Rules(limits, [NoRepeatedNgrams(1)])
    ((best,),) = model.translate(make_search(name, Scoring(NoPenalty()), rules), [0], [5])
    assert sorted(best.tokens) == [A, B, C]


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_the_least_length_follows_the_source(random_model, make_search, name):
    model = random_model(30, seed=1)
    model.table -= 50.0
    model.table[:, EOS] = 0.0
    limits = LengthLimits(min_length=2, max_length=12, min_length_ratio=0.5)
    found = model.translate(
        make_search(name, Scoring(NoPenalty()), Rules(limits)), [0, 1, 2, 3], [1, 5, 14, 90]
    )
    assert [len(best.tokens) for (best,) in found] == [2, 2, 7, 12]


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_the_most_length_follows_the_source(random_model, make_search, name):
    """Twice the source and the 10 that are granted, 16 at most: who may go on does."""
    model = random_model(30, seed=1)
    model.table[:, EOS] = -50.0
    limits = LengthLimits(max_length=16, max_length_ratio=2.0)
    found = model.translate(
        make_search(name, Scoring(NoPenalty()), Rules(limits)), [0, 1, 2, 3], [1, 2, 3, 90]
    )
    assert [len(best.tokens) for (best,) in found] == [12, 14, 16, 16]


D = EOS + 4
SEQUENCES = [
    [[A]],
    [[A, B]],
    [[A, A]],
    [[A, B, A], [C]],
    [[A], [A, B]],
    [[BOS, A], [B, A]],
    [[A, B, C, D], [D, C]],
]


def forbidden_after(
    sequences: list[list[int]], *written: list[int], subset: VocabularySubset | None = None
) -> list[list[int]]:
    """The columns that are -inf after each of the hypotheses, which are equally long."""
    size = D + 1 if subset is None else len(subset)
    log_probabilities = torch.full((len(written), size), -1.0)
    request = Request(torch.full((len(written),), 5), subset=subset)
    tokens = torch.tensor([[BOS, *tokens] for tokens in written])
    partial = PartialHypotheses(tokens, torch.arange(len(written)), request)
    ForbiddenPhrases(sequences)(log_probabilities, partial)
    return [(row == -inf).nonzero().flatten().tolist() for row in log_probabilities]


def test_one_token_is_always_forbidden() -> None:
    assert forbidden_after([[A], [C]], []) == [[A, C]]
    assert forbidden_after([[A], [C]], [A, B], [B, B]) == [[A, C], [A, C]]


def test_last_token_is_forbidden_after_the_others() -> None:
    sequences = [[A, B], [A, B, C], [B, A, D]]
    assert forbidden_after(sequences, []) == [[]]
    assert forbidden_after(sequences, [A], [B]) == [[B], []]
    assert forbidden_after(sequences, [A, B], [B, A], [A, C]) == [[C], [B, D], []]
    assert forbidden_after(sequences, [A, B, A], [A, B, D]) == [[B, D], []]


def test_sequence_with_bos_is_forbidden_at_the_beginning_only() -> None:
    assert forbidden_after([[BOS, A]], []) == [[A]]
    assert forbidden_after([[BOS, A]], [B]) == [[]]
    assert forbidden_after([[BOS, A, B]], [A]) == [[B]]
    assert forbidden_after([[BOS, A, B]], [C, A]) == [[]]


def test_subset_has_columns_for_some_of_the_tokens() -> None:
    subset = VocabularySubset([A, C])  # columns 4 and 5
    sequences = [[A, C], [A, B], [B, C], [BOS, A], [D]]
    assert forbidden_after(sequences, [4], [5], subset=subset) == [[5], []]
    assert forbidden_after(sequences, [], subset=subset) == [[4]]


def contains(tokens: tuple[int, ...], sequence: list[int]) -> bool:
    written = (BOS, *tokens)
    return any(
        list(written[start : start + len(sequence)]) == sequence for start in range(len(written))
    )


@pytest.mark.parametrize("sequences", SEQUENCES, ids=str)
def test_wide_beam_finds_everything_that_is_not_forbidden(random_model, sequences) -> None:
    model = random_model(D + 1, seed=1)
    search = BeamSearch(
        400, 400, Scoring(NoPenalty()), Rules(LIMITS, [ForbiddenPhrases(sequences)])
    )
    ((*found,),) = model.translate(search, [1], [3])
    every = (tokens for length in range(5) for tokens in product((A, B, C, D), repeat=length))
    expected = {
        tokens for tokens in every if not any(contains(tokens, banned) for banned in sequences)
    }
    assert 1 < len(expected) < 341
    assert {item.tokens for item in found} == expected
    for item in found[:20]:
        total = model.log_probability(1, item.tokens)
        assert item.log_probability == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("name", sorted(SEARCHES))
@pytest.mark.parametrize("sequences", SEQUENCES, ids=str)
def test_no_search_finds_a_forbidden_sequence(random_model, make_search, name, sequences) -> None:
    model = random_model(D + 1, seed=3)
    limits = LengthLimits(max_length=12, max_length_ratio=None)
    search = make_search(name, Scoring(NoPenalty()), Rules(limits, [ForbiddenPhrases(sequences)]))
    sentences = list(range(30))
    together = model.translate(search, sentences, [5] * 30)
    found = [best.tokens for (best,) in together]
    assert len(set(found)) > 3
    assert not any(contains(tokens, banned) for tokens in found for banned in sequences)
    for sentence in (0, 7, 23):
        assert model.translate(search, [sentence], [5])[0] == together[sentence]


def test_forced_prefix_may_contain_a_forbidden_sequence(random_model) -> None:
    model = random_model(D + 1, seed=4)
    rules = Rules(LIMITS, [ForbiddenPhrases([[A, B], [B, C], [D]])])
    search = BeamSearch(400, 400, Scoring(NoPenalty()), rules)
    ((*found,),) = model.translate(search, [4], [3], prefixes=torch.tensor([[D, A, B]]))
    assert {item.tokens for item in found} == {(D, A, B), (D, A, B, A), (D, A, B, B)}


def test_translation_ends_if_all_tokens_are_forbidden(random_model) -> None:
    model = random_model(D + 1, seed=5)
    rules = Rules(LengthLimits(3, 4, 0.0, None), [ForbiddenPhrases([[A], [B], [C], [D]])])
    ((best,),) = model.translate(BeamSearch(4, 1, Scoring(NoPenalty()), rules), [0], [3])
    assert best.tokens == ()
