"""The tree of a beam: every node has its parent and a reason, and the best one is the result."""

from collections import Counter
from math import inf
from typing import Any, get_args

import pytest
import torch

from nmt.core.special_tokens import BOS, EOS, UNK
from nmt.search.beam import BeamSearch
from nmt.search.beam_tree import BeamNode, BeamTree
from nmt.search.constraints import ForbiddenPhrases
from nmt.search.length_penalty import AveragePenalty, GNMTPenalty, NoPenalty
from nmt.search.request import VocabularySubset, pad
from nmt.search.rules import LengthLimits, NoRepeatedNgrams, Reason, RepetitionPenalty, Rules
from nmt.search.search import Scoring, Search
from nmt.search.table import COVERAGE_PENALTIES, SEARCHES

LIMITS = LengthLimits(max_length=6, max_length_ratio=None)
SCORING = Scoring(AveragePenalty())


def watch(model: Any, search: Search, **asked: Any) -> tuple[BeamTree, Any]:
    tree = BeamTree(search)
    (found,) = model.translate(search, [3], [4], observer=tree, **asked)
    return tree, found[0]


def tokens_of(tree: BeamTree, node: BeamNode | None) -> tuple[int, ...]:
    return tuple(each.token for each in tree.path(node))


def check(tree: BeamTree, best: Any, places: int) -> None:
    """What holds for every tree."""
    node = tree.best()
    assert node is not None
    assert tokens_of(tree, node) == (*best.tokens, EOS)
    assert node.score == best.score
    assert node.log_probability == pytest.approx(best.log_probability, abs=1e-5)
    assert [each.id for each in tree.nodes] == list(range(len(tree.nodes)))
    for each in tree.nodes:
        assert -inf < each.penalty < 1e-5  # of a forbidden token, too
        path = tree.path(each)
        assert [one.step for one in path] == list(range(len(path)))
        assert all(one.reason == "kept" for one in path[:-1])
        total = sum(one.token_log_probability for one in path)
        assert total == pytest.approx(each.log_probability, abs=1e-5)
        if each.reason == "finished":
            parts = each.log_probability + each.penalty + each.length_part + each.coverage_part
            assert parts == pytest.approx(each.score, abs=1e-5)
        else:
            assert each.score is each.length_part is each.coverage_part is None
    taken = Counter((each.group, each.step) for each in tree.nodes if each.reason == "kept")
    assert max(taken.values(), default=0) <= places


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["beam", "greedy", "diverse_beam"])
def test_the_best_of_the_tree_is_the_translation(random_model, make_search, name, seed):
    search = make_search(name, SCORING, Rules(LIMITS, [RepetitionPenalty(1.2)]))
    check(*watch(random_model(40, seed), search), search.beam_size)


def test_a_penalty_counts_for_all_tokens_after_it(random_model):
    search = BeamSearch(3, 1, SCORING, Rules(LIMITS, [RepetitionPenalty(1.2)]))
    tree, best = watch(random_model(8, 0), search)
    check(tree, best, 3)
    later = 0
    for node in tree.nodes:
        *before, last = tree.path(node)
        so_far = before[-1].penalty if before else 0.0
        is_ranked = last.reason in ("kept", "finished", "worse than K")
        is_repeated = is_ranked and last.token in {each.token for each in before}
        own = 0.2 * last.token_log_probability if is_repeated else 0.0
        assert last.penalty == pytest.approx(so_far + own, abs=1e-5)
        later += so_far < 0.0
    assert later > 0


@pytest.mark.parametrize("coverage", COVERAGE_PENALTIES)
def test_the_parts_of_a_score_add_up(random_model, coverage):
    scoring = Scoring(GNMTPenalty(alpha=1.0), COVERAGE_PENALTIES[coverage]())
    tree, best = watch(random_model(40, 1), BeamSearch(4, 1, scoring, Rules(LIMITS)))
    check(tree, best, 4)
    finished = [node for node in tree.nodes if node.reason == "finished"]
    assert any(node.length_part > 0.0 for node in finished)
    assert any(node.coverage_part for node in finished) == (coverage != "none")


def test_a_step_lists_the_likeliest_continuations(random_model):
    model = random_model(40, 0)
    tree, _ = watch(model, BeamSearch(3, 1, SCORING, Rules(LIMITS)))
    likeliest = model.step(torch.tensor([BOS]), model.start([3]))[0][0].topk(6)
    first = [node for node in tree.nodes if node.step == 0]
    assert [node.token for node in first[:6]] == likeliest.indices.tolist()
    assert [node.token_log_probability for node in first[:6]] == likeliest.values.tolist()
    allowed = [node for node in first if node.reason != "forbidden"]
    assert [node.reason for node in allowed[:3]] == ["kept"] * 3
    assert {node.reason for node in allowed[3:]} <= {"worse than K"}


def reasons(tree: BeamTree, step: int) -> dict[int, tuple[Reason, str]]:
    return {node.token: (node.reason, node.rule) for node in tree.nodes if node.step == step}


@pytest.mark.parametrize("name", ["beam", "greedy"])
def test_special_symbols_are_forbidden(random_model, make_search, name):
    model = random_model(EOS + 3, 1)
    model.table[:, UNK] = 0.0
    search = make_search(name, SCORING, Rules(LIMITS))
    tree, best = watch(model, search)
    assert reasons(tree, 0)[UNK] == ("forbidden", "special symbols")
    check(tree, best, search.beam_size)


def test_a_rule_is_named(random_model):
    model = random_model(EOS + 3, 1)
    model.table[:, EOS] -= 3.0
    rules = Rules(LIMITS, [NoRepeatedNgrams(1), ForbiddenPhrases([[EOS + 2]])])
    tree, best = watch(model, BeamSearch(4, 1, SCORING, rules))
    assert reasons(tree, 0)[EOS + 2] == ("forbidden", "ForbiddenPhrases")
    after = {node.token: (node.reason, node.rule) for node in tree.nodes if node.step == 1}
    assert after[EOS + 1] == ("blocked n-gram", "NoRepeatedNgrams")
    check(tree, best, 4)


def test_a_rule_of_your_own_is_not_run_twice_on_its_own_result(random_model):
    tree, best = watch(
        random_model(40, 1), BeamSearch(3, 1, SCORING, Rules(LIMITS, [RepetitionPenalty(1.5)]))
    )
    check(tree, best, 3)
    repeated = [
        node
        for node in tree.nodes
        if node.token in [each.token for each in tree.path(node)[:-1]] and node.reason == "kept"
    ]
    assert all(node.penalty < 0.0 for node in repeated)


def test_limits_are_named(random_model):
    model = random_model(EOS + 3, 1)
    limits = LengthLimits(min_length=1, max_length=2, max_length_ratio=None)
    tree, _ = watch(model, BeamSearch(4, 1, SCORING, Rules(limits)))
    assert reasons(tree, 0)[EOS] == ("length", "")
    assert reasons(tree, 2)[EOS] == ("finished", "")
    assert reasons(tree, 2)[EOS + 1] == ("length", "")


def test_a_prefix_is_a_constraint(random_model):
    model = random_model(EOS + 4, 1)
    prefixes = torch.tensor([[EOS + 2, UNK]])
    tree, best = watch(model, BeamSearch(4, 1, SCORING, Rules(LIMITS)), prefixes=prefixes)
    check(tree, best, 4)
    assert best.tokens[:2] == (EOS + 2, UNK)
    assert reasons(tree, 0)[EOS + 2] == ("kept", "")
    assert reasons(tree, 0)[EOS + 1] == ("constraint", "")
    assert reasons(tree, 1)[UNK] == ("kept", "")  # a prefix may have it
    assert reasons(tree, 2)[UNK] == ("forbidden", "special symbols")


def test_phrases_are_a_constraint(random_model):
    model = random_model(30, 2)
    phrases = pad([[20, 21]]).unsqueeze(0)
    model.table[:, EOS] += 2.0
    tree, best = watch(model, BeamSearch(3, 1, SCORING, Rules(LIMITS)), phrases=phrases)
    check(tree, best, 3)
    assert 20 in best.tokens
    assert reasons(tree, 0)[EOS] == ("constraint", "")
    crowded_out = [node for node in tree.nodes if node.reason == "constraint" and node.token != EOS]
    assert crowded_out  # its place went to a hypothesis with more of the phrase


def test_with_phrases_a_place_goes_to_a_better_one_or_to_more_of_a_phrase(random_model):
    search = BeamSearch(4, 1, SCORING, Rules(LIMITS))
    found: Counter[str] = Counter()
    for seed in range(3):
        phrases = pad([[20]]).unsqueeze(0)
        tree, _ = watch(random_model(30, seed), search, phrases=phrases)
        worst: dict[int, float] = {}
        for node in tree.nodes:
            if node.reason in ("kept", "finished"):
                worst[node.step] = min(worst.get(node.step, 0.0), node.log_probability)
        for node in tree.nodes:
            if node.token != EOS and node.reason in ("constraint", "worse than K"):
                assert (node.log_probability > worst[node.step]) == (node.reason == "constraint")
                found[node.reason] += 1
    assert found["constraint"] and found["worse than K"]


def test_every_reason_of_the_list_occurs(random_model):
    model = random_model(30, 2)
    model.table[:, EOS] += 2.0
    limits = LengthLimits(min_length=1, max_length=6, max_length_ratio=None)
    rules = Rules(limits, [NoRepeatedNgrams(1), ForbiddenPhrases([[7]])])
    found: set[str] = set()
    for phrases in (None, pad([[20, 21]]).unsqueeze(0)):
        tree, _ = watch(model, BeamSearch(12, 1, SCORING, rules), phrases=phrases)
        found |= {node.reason for node in tree.nodes}
    assert found == set(get_args(Reason))


def test_a_search_that_ends_early_says_so(random_model):
    model = random_model(30, 2)
    model.table[:, EOS] += 3.0
    tree, _ = watch(model, BeamSearch(3, 1, Scoring(NoPenalty()), Rules(LIMITS)))
    assert [group for group, _ in tree.stops] == [0]
    last = max(node.step for node in tree.nodes)
    assert tree.stops[0][1] == last
    assert any(node.reason == "kept" for node in tree.nodes if node.step == last)
    assert tree.stop_reason == "no open hypothesis can beat the best"
    first = BeamSearch(3, 1, Scoring(NoPenalty()), Rules(LIMITS), stopping="first")
    tree, _ = watch(model, first)
    assert tree.stops and tree.stop_reason == "enough hypotheses have finished"


def test_a_search_whose_hypotheses_have_all_ended_gives_up_none(random_model, make_search):
    tree, best = watch(random_model(30, 2), make_search("greedy", SCORING, Rules(LIMITS)))
    check(tree, best, 1)
    assert tree.stops == []


def test_the_last_of_several_searches_counts(random_model):
    model, search = random_model(30, 2), BeamSearch(3, 1, SCORING, Rules(LIMITS))
    once, again = BeamTree(search), BeamTree(search)
    model.translate(search, [3], [4], observer=once)
    model.translate(search, [5], [4], observer=again)
    model.translate(search, [3], [4], observer=again)
    assert again.nodes == once.nodes


def test_the_groups_of_a_diverse_beam_are_trees(random_model):
    search = SEARCHES["diverse_beam"](6, 1, SCORING, Rules(LIMITS), groups=3, strength=5.0)
    tree, best = watch(random_model(30, 2), search)
    check(tree, best, 2)
    assert {node.group for node in tree.nodes} == {0, 1, 2}
    assert {node.parent for node in tree.nodes if node.step == 0} == {None}
    first = {
        group: {
            node.token
            for node in tree.nodes
            if (node.group, node.step) == (group, 0) and node.reason == "kept"
        }
        for group in range(3)
    }
    assert not first[0] & first[1] and not (first[0] | first[1]) & first[2]
    charged = [node for node in tree.nodes if node.step == 0 and node.penalty < -4.0]
    assert {node.group for node in charged} == {1, 2}
    assert [node.penalty for node in charged] == pytest.approx([-5.0] * len(charged))


def test_without_a_number_of_groups_each_place_is_a_tree(random_model):
    search = SEARCHES["diverse_beam"](3, 1, SCORING, Rules(LIMITS))
    tree, best = watch(random_model(30, 2), search)
    check(tree, best, 1)
    assert {node.group for node in tree.nodes} == {0, 1, 2}


def test_tokens_are_those_of_the_vocabulary(random_model):
    subset = VocabularySubset([7, 9, 20])
    tree, _ = watch(
        random_model(len(subset), 0), BeamSearch(2, 1, SCORING, Rules(LIMITS)), subset=subset
    )
    assert {7, 9, 20, EOS} >= {node.token for node in tree.nodes if node.reason == "kept"}
    assert not {4, 5, 6} & {node.token for node in tree.nodes}


def test_tokens_outside_a_shortlist_are_not_listed(random_model):
    model = random_model(30, 0)
    model.table[:, 10:] = -inf
    tree, _ = watch(model, BeamSearch(8, 1, SCORING, Rules(LIMITS)))
    assert max(node.token for node in tree.nodes) < 10


def test_only_one_sentence_is_observed(random_model):
    search = BeamSearch(2, 1, SCORING, Rules(LIMITS))
    with pytest.raises(AssertionError, match="only one sentence"):
        random_model(30, 0).translate(search, [1, 2], [3, 3], observer=BeamTree(search))


def test_samples_have_no_tree(make_search):
    with pytest.raises(AssertionError, match="samples have no beam"):
        BeamTree(make_search("sampling", SCORING, Rules(LIMITS)))
