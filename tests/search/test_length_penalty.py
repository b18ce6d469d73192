import pytest
import torch

from nmt.search.length_penalty import (
    AveragePenalty,
    GNMTPenalty,
    LengthPenalty,
    NoPenalty,
    WordReward,
)
from nmt.search.table import LENGTH_PENALTIES

PENALTIES = [make() for make in LENGTH_PENALTIES.values()]


def by_name(penalty: LengthPenalty) -> str:
    return type(penalty).__name__


def score(penalty: LengthPenalty, log_probability: float, length: int) -> float:
    return float(penalty.score(torch.tensor(log_probability), torch.tensor(float(length))))


def test_scores_worked_by_hand():
    assert score(NoPenalty(), -6.0, 4) == -6.0
    assert score(AveragePenalty(), -6.0, 4) == -1.5
    # ((5 + 7) / 6) ** 0.5 = sqrt(2)
    assert score(GNMTPenalty(alpha=0.5), -6.0, 7) == pytest.approx(-6.0 / 2**0.5)
    assert score(GNMTPenalty(alpha=1.0), -6.0, 13) == pytest.approx(-2.0)
    assert score(WordReward(reward=0.5), -6.0, 4) == -4.0


def test_gnmt_with_alpha_0_is_no_penalty():
    for length in (1, 2, 50):
        assert score(GNMTPenalty(alpha=0.0), -6.0, length) == -6.0


def test_the_default_alpha_divides_a_word_by_one():
    assert score(GNMTPenalty(), -6.0, 1) == -6.0


@pytest.mark.parametrize("penalty", PENALTIES, ids=by_name)
def test_can_beat_holds_for_every_continuation(penalty: LengthPenalty):
    generator = torch.Generator().manual_seed(1)
    longest, is_open = 40, torch.ones(200, 1, dtype=torch.bool)
    for now in range(longest):
        total = -20 * torch.rand(200, generator=generator)
        costs = torch.rand(200, generator=generator) > 0.3
        further = -0.5 * torch.rand(200, generator=generator) * costs
        for length in range(now + 1, longest + 1):
            reached = penalty.score(total + further, torch.tensor(float(length))).unsqueeze(1)
            beaten = reached.nextafter(torch.tensor(-torch.inf))
            limit = torch.full((200, 1), longest)
            assert penalty.can_beat(beaten, total.unsqueeze(1), is_open, limit).all()


@pytest.mark.parametrize("penalty", PENALTIES, ids=by_name)
def test_a_hypothesis_cannot_beat_its_own_score_at_the_longest(penalty: LengthPenalty):
    totals, longest = torch.tensor([[-3.0, -1.0]]), torch.tensor([[9]])
    best = penalty.score(totals[:, :1], longest.float())
    is_open = torch.tensor([[True, False]])
    assert not penalty.can_beat(best, totals, is_open, longest)
    assert penalty.can_beat(best, totals, ~is_open, longest)
