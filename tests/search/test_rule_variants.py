"""Forbidden sequences of tokens, by hand and against all sequences that there are."""

from itertools import product
from math import inf

import pytest
import torch

from nmt.core.special_tokens import BOS, EOS
from nmt.search.beam import BeamSearch
from nmt.search.penalties import NoPenalty, Scoring
from nmt.search.request import Request, VocabularySubset
from nmt.search.rule_variants import ForbiddenPhrases
from nmt.search.rules import LengthLimits, PartialHypotheses, Rules
from nmt.search.table import SEARCHES

A, B, C, D = range(EOS + 1, EOS + 5)
LIMITS = LengthLimits(max_length=4, max_length_ratio=None)
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


def test_translation_ends_where_everything_is_forbidden(random_model) -> None:
    model = random_model(D + 1, seed=5)
    rules = Rules(LengthLimits(3, 4, 0.0, None), [ForbiddenPhrases([[A], [B], [C], [D]])])
    ((best,),) = model.translate(BeamSearch(4, 1, Scoring(NoPenalty()), rules), [0], [3])
    assert best.tokens == ()
