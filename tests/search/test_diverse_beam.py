import pytest
import torch

from nmt.core.errors import ConfigError
from nmt.core.special_tokens import BOS, EOS
from nmt.search.beam import BeamSearch
from nmt.search.diverse_beam import DiverseBeamSearch
from nmt.search.length_penalty import AveragePenalty, NoPenalty
from nmt.search.rules import LengthLimits, Rules
from nmt.search.search import Scoring

LIMITS = LengthLimits(max_length=6, max_length_ratio=None)
PLAIN = Scoring(NoPenalty())


def make(beam_size: int, n_best: int, groups: int | None, strength: float) -> DiverseBeamSearch:
    rules = Rules(LIMITS)
    return DiverseBeamSearch(beam_size, n_best, PLAIN, rules, groups=groups, strength=strength)


def plain_diverse_beam(model, sentence, size, groups, strength):
    """Algorithm 1 for one sentence, with lists: (tokens, charged total) of all that ended."""
    beams = [[((), 0.0, model.start([sentence]))] for _ in range(groups)]
    ended: list[list[tuple[tuple[int, ...], float]]] = [[] for _ in range(groups)]
    for length in range(LIMITS.max_length + 1):
        taken: dict[int, int] = {}
        for group, beam in enumerate(beams):
            continuations = []
            for tokens, total, state in beam:
                last = tokens[-1] if tokens else BOS
                scores, after = model.step(torch.tensor([last]), state)
                words = range(EOS, scores.shape[1]) if length < LIMITS.max_length else [EOS]
                for word in words:
                    charged = total + float(scores[0, word]) - strength * taken.get(word, 0)
                    continuations.append((charged, tokens, word, after))
            continuations.sort(key=lambda item: -item[0])
            kept = continuations[: size - len(ended[group])]
            beams[group] = [
                ((*tokens, word), total, after)
                for total, tokens, word, after in kept
                if word != EOS
            ]
            ended[group] += [(tokens, total) for total, tokens, word, _ in kept if word == EOS]
            for _, _, word, _ in kept:
                taken[word] = taken.get(word, 0) + 1
    distinct: dict[tuple[int, ...], float] = {}
    for tokens, total in (item for group in ended for item in group):
        distinct.setdefault(tokens, total)
    return sorted(distinct.items(), key=lambda item: -item[1])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("groups", [2, 3])
def test_it_is_the_algorithm_of_the_paper(random_model, seed, groups):
    model = random_model(12, seed)
    search = make(2 * groups, 2 * groups, groups, strength=0.7)
    found = model.translate(search, [0, 1, 2], [5, 5, 5])
    for sentence, hypotheses in enumerate(found):
        expected = plain_diverse_beam(model, sentence, 2, groups, 0.7)
        assert [item.tokens for item in hypotheses] == [tokens for tokens, _ in expected]
        assert [item.score for item in hypotheses] == pytest.approx(
            [total for _, total in expected], abs=1e-5
        )


@pytest.mark.parametrize("seed", range(3))
def test_one_group_is_beam_search(random_model, seed):
    model = random_model(30, seed)
    scoring, rules = Scoring(AveragePenalty()), Rules(LIMITS)
    one = DiverseBeamSearch(4, 3, scoring, rules, groups=1)
    assert model.translate(one, [0, 1], [5, 5]) == model.translate(
        BeamSearch(4, 3, scoring, rules), [0, 1], [5, 5]
    )


def test_without_a_penalty_all_groups_agree(random_model):
    model = random_model(30, seed=1)
    found = model.translate(make(6, 6, groups=3, strength=0.0), [0, 1], [5, 5])
    alone = model.translate(BeamSearch(2, 2, PLAIN, Rules(LIMITS)), [0, 1], [5, 5])
    assert found == alone


def test_default_number_of_groups_is_the_beam_size(random_model):
    model = random_model(6, seed=5)
    given = ([0, 1, 2], [4, 4, 4])
    assert model.translate(make(4, 4, None, 0.7), *given) == model.translate(
        make(4, 4, 4, 0.7), *given
    )


def test_with_a_high_penalty_groups_begin_differently(random_model):
    model = random_model(30, seed=2)
    model.table[:, EOS] -= 5.0
    ((*found,),) = model.translate(make(4, 4, groups=4, strength=50.0), [0], [5])
    assert len({item.tokens[0] for item in found}) == 4


def test_a_beam_that_cannot_be_divided_is_refused():
    with pytest.raises(
        ConfigError, match=r"not a multiple of the 2 groups .* nearest multiple is 6$"
    ):
        make(5, 1, groups=2, strength=0.5)


def test_fewer_translations_are_the_best_of_all_groups(random_model):
    model = random_model(12, seed=1)
    for n_best in (1, 2, 4):
        found = model.translate(make(6, n_best, groups=3, strength=0.7), [0, 1], [5, 5])
        whole = model.translate(make(6, 6, groups=3, strength=0.7), [0, 1], [5, 5])
        assert [len(hypotheses) for hypotheses in found] == [n_best] * 2
        if n_best > 1:  # a group gives no more than it is wide
            assert found == [hypotheses[:n_best] for hypotheses in whole]
