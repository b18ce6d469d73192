import torch

from nmt.core.special_tokens import BOS, EOS
from nmt.search.greedy import GreedySearch
from nmt.search.length_penalty import NoPenalty
from nmt.search.request import Request
from nmt.search.rules import LengthLimits, Rules
from nmt.search.search import Scoring, Stepper


def test_the_most_probable_token_each_time():
    # After BOS: 5 (0.6); after 5: 4 (0.5); after 4: EOS (0.9). The better path 4 EOS (0.4 * 0.9)
    # is not seen, as its first step is worse.
    table = torch.full((6, 6), 1e-9)
    table[BOS, [4, 5]] = torch.tensor([0.4, 0.6])
    table[5, [3, 4, 5]] = torch.tensor([0.4, 0.5, 0.1])
    table[4, [3, 5]] = torch.tensor([0.9, 0.1])
    search = GreedySearch(5, 1, Scoring(NoPenalty()), Rules(LengthLimits()))
    model = Stepper(lambda tokens, state: (table[tokens].log(), state))
    ((best,),) = search(model, None, Request(torch.tensor([3])))
    assert best.tokens == (5, 4)
    assert abs(best.log_probability - float(torch.tensor(0.6 * 0.5 * 0.9).log())) < 1e-6


def test_lowest_id_wins_a_tie():
    table = torch.full((9, 9), 1 / 6).log()
    table[4:, EOS] = -0.1  # one word, then the end
    table[BOS, EOS] = -9.0
    search = GreedySearch(1, 1, Scoring(NoPenalty()), Rules(LengthLimits()))
    model = Stepper(lambda tokens, state: (table[tokens].clone(), state))
    ((best,),) = search(model, None, Request(torch.tensor([3])))
    assert best.tokens == (4,)
