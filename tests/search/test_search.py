"""What holds for every search, and for the limits."""

from collections.abc import Callable

import pytest
import torch

from nmt.core.errors import ConfigError
from nmt.core.special_tokens import EOS
from nmt.search.greedy import GreedySearch
from nmt.search.length_penalty import NoPenalty
from nmt.search.rules import LengthLimits, Rules
from nmt.search.search import Scoring, Search, best_in_order
from nmt.search.table import LENGTH_PENALTIES, SEARCHES

LIMITS = LengthLimits(max_length=12, max_length_ratio=None)


@pytest.fixture(params=sorted(SEARCHES))
def name(request) -> str:
    return request.param


@pytest.fixture
def make(name: str, make_search) -> Callable[..., Search]:
    def of(penalty: str = "average", limits: LengthLimits = LIMITS) -> Search:
        return make_search(name, Scoring(LENGTH_PENALTIES[penalty]()), Rules(limits))

    return of


def test_the_reported_score_is_that_of_teacher_forcing(random_model, make, name):
    model = random_model(40, seed=1)
    for penalty in LENGTH_PENALTIES:
        search = make(penalty=penalty)
        found = model.translate(search, [0, 1, 2, 3], [5] * 4)
        for sentence, hypotheses in enumerate(found):
            for hypothesis in hypotheses:
                total = model.log_probability(sentence, hypothesis.tokens)
                assert hypothesis.log_probability == pytest.approx(total, abs=1e-5)
                if name == "diverse_beam":
                    continue  # ranked by what it was charged as well
                score = search.scoring.length.score(
                    torch.tensor(total), torch.tensor(len(hypothesis.tokens) + 1.0)
                )
                assert hypothesis.score == pytest.approx(float(score), abs=1e-5)


def test_sentence_does_not_depend_on_its_batch_or_order(random_model, make):
    model = random_model(30, seed=2)
    search = make()
    sentences, lengths = [4, 1, 7, 3, 3, 9, 0], [5, 1, 9, 2, 2, 30, 4]
    together = model.translate(search, sentences, lengths)
    backwards = model.translate(search, sentences[::-1], lengths[::-1])
    assert together == backwards[::-1]
    for place, sentence in enumerate(sentences):
        alone = model.translate(search, [sentence], lengths[place : place + 1])
        assert together[place] == alone[0]


def test_only_text_is_generated(random_model, make):
    model = random_model(30, seed=3)
    model.table[:, :3] = -0.01  # PAD, UNK and BOS are what the model likes best
    model.table[:, 3:] -= 5.0
    for hypotheses in model.translate(make(), [0, 1, 2], [5] * 3):
        assert all(token > EOS for token in hypotheses[0].tokens)


def test_an_empty_batch(random_model, make):
    model = random_model(30, seed=3)
    assert model.translate(make(), [], []) == []


def test_the_limits_are_exact(random_model, make):
    unwilling = random_model(30, seed=4)
    unwilling.table[:, EOS] = -50.0
    eager = random_model(30, seed=4)
    eager.table -= 50.0
    eager.table[:, EOS] = 0.0
    for shortest, longest in [(0, 1), (0, 7), (3, 7), (7, 7)]:
        limits = LengthLimits(min_length=shortest, max_length=longest, max_length_ratio=None)
        for model, expected in [(eager, shortest), (unwilling, longest)]:
            search = make(penalty="none", limits=limits)
            found = model.translate(search, [0, 1], [1, 90])
            assert [len(best[0].tokens) for best in found] == [expected, expected]


def test_finished_sentences_leave_the_batch(random_model, make, name):
    model = random_model(30, seed=5)
    model.table[:, EOS] = -60.0
    lengths = [1, 1, 1, 40]
    limits = LengthLimits(max_length=100, max_length_ratio=1.0)
    search = make(limits=limits)
    model.translate(search, [0, 1, 2, 3], lengths)
    # 12 steps are the most for one source token (11 tokens and EOS), 51 for forty; a beam starts
    # with one hypothesis, or with one for each group.
    first, width = {"beam": (1, 3), "diverse_beam": (3, 3)}.get(name, (1, 1))
    assert model.num_calls == 51
    assert model.num_rows == first * 4 + width * (3 * 11 + 50)


def test_a_model_that_gives_no_numbers_ends_the_search(random_model, make):
    model = random_model(30, seed=6)
    model.table[:] = float("nan")
    found = model.translate(make(), [0, 1], [3, 3])
    assert [len(hypotheses) for hypotheses in found] == [1, 1]


def test_limits_follow_the_source():
    limits = LengthLimits(min_length=0, max_length=50, max_length_ratio=1.5)
    assert limits.max_lengths(torch.tensor([0, 1, 3, 20, 27, 1000])).tolist() == [
        10,
        11,
        14,
        40,
        50,
        50,
    ]


def test_minimum_length_overrides_the_ratio():
    limits = LengthLimits(min_length=40, max_length=50, max_length_ratio=1.0)
    assert limits.max_lengths(torch.tensor([1])).tolist() == [40]


def test_greedy_finds_one_translation():
    with pytest.raises(
        ConfigError, match=r"decoding\.n_best: must be 1 with greedy search, not 2; set"
    ):
        GreedySearch(5, 2, Scoring(NoPenalty()), Rules(LIMITS))


@pytest.mark.parametrize("num_tied", [1, 2, 5, 8, 9, 12, 30])
@pytest.mark.parametrize("count", [1, 3, 30])
def test_best_in_order_breaks_ties_by_place(num_tied: int, count: int) -> None:
    values = torch.arange(30.0).flip(0).repeat(3, 1)
    values[0, 2 : 2 + num_tied] = 27.0  # ties with the third
    values[1, torch.randperm(30)[:num_tied]] = 5.0
    values[2, :] = torch.randint(4, (30,)).float()
    expected = [
        sorted(range(30), key=lambda place: (-row[place], place))[:count] for row in values.tolist()
    ]
    assert best_in_order(values, count).tolist() == expected
