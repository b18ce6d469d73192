"""Searches on a device that is not the CPU, without having one, and how often they wait for it.

A search must find the same as on the CPU, and mix no devices. `MOST_WAITS` says how often a step
may read values of the device: each read leaves a GPU idle until the host has started its next
operations.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch

from nmt.build.model import build_model
from nmt.config.decoding import DecodingConfig
from nmt.core.special_tokens import EOS
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.loading import build_search
from nmt.inference.shortlist import Shortlist
from nmt.nn.attention.alignments.table import ALIGNMENTS
from nmt.nn.attention.scores.table import SCORES
from nmt.nn.decoders.table import DECODERS
from nmt.nn.ensemble import Ensemble
from nmt.nn.recurrent.table import CELLS
from nmt.search.hypothesis import NBest
from nmt.search.request import Constraints
from nmt.search.table import COVERAGE_PENALTIES, LENGTH_PENALTIES, SEARCHES
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer
from nmt.word_alignment.ibm1 import Lexicon
from tests.made_up_device import Cases, Waits, cases_fixture, device
from tests.tagged_device import tagged_device

Options = dict[str, Any]

SIZE = 12
SOURCES = [[4, 5, 6], [7, 8], [9, 4, 10, 11, 5]]
"""Sentences of different lengths, so that they end at different steps."""

# Waits of a step, at most: those of each of the 5 groups add up in diverse beam search.
MOST_WAITS = {"greedy": 10, "sampling": 10, "beam": 16, "diverse_beam": 42}
MOST_WHILE_NONE_ENDS = {"greedy": 1, "sampling": 1, "beam": 6, "diverse_beam": 29}
MOST_AT_FIRST = 2  # before the first step: the length limits

_CANDIDATES = np.tile(np.arange(4, 9, dtype=np.int32), (SIZE, 1))
_SHARES = np.full(_CANDIDATES.shape, 0.2, np.float32)
SHORTLIST = Shortlist(Lexicon(_CANDIDATES, _SHARES, np.array([9], np.int32)), 5, 1, copies=True)
NOTHING = Constraints()
RULES: dict[str, Options] = {
    "n-grams": {"no_repeat_ngram_size": 2},
    "repetition": {"repetition_penalty": 1.2},
    "threshold": {"eos_threshold": 1.5},
    "forbidden": {"forbidden": ["b c", "d"]},
    "lengths": {"min_length": 3, "max_length_ratio": 1.0},
}
OTHERS: dict[str, Options] = {
    "first": {"search": {"name": "beam", "stopping": "first"}},
    "two groups": {"search": {"name": "diverse_beam", "groups": 2}, "beam_size": 4},
    "wide beam": {"beam_size": 50},
    "top k": {"search": {"name": "sampling", "top_k": 3}},
    "top p": {"search": {"name": "sampling", "top_p": 0.8}},
    "epsilon": {"search": {"name": "sampling", "epsilon": 0.05}},
}


@cache
def words() -> Any:
    return WordTrainer(Normalizer()).train(lambda: iter([" ".join("abcdefgh")]))


def make_model(options: Options, seed: int) -> Any:
    """A model with random weights, large enough for translations of different lengths."""
    torch.manual_seed(seed)
    sizes = {"embedding": {"size": 8}, "encoder": {"hidden_size": 4}}
    decoder = {"hidden_size": 8, **options.get("decoder", {})}
    model = build_model({**sizes, **options, "decoder": decoder}, SIZE, SIZE)
    with torch.no_grad():
        model.projection.weight.mul_(4.0)
        model.projection.bias[EOS] -= 2.0
    return model.eval()


def search(
    decoding: Options,
    model: Options,
    *,
    constraints: Constraints = NOTHING,
    shortlist: Shortlist | None = None,
    members: int = 1,
    never_ends: bool = False,
) -> None:
    """Search on the CPU, then on the device, and compare results and waits."""
    options = DecodingConfig.model_validate({"max_length": 8, **decoding})
    made = [make_model(model, seed) for seed in range(members)]
    if never_ends:  # before the longest length
        made[0].projection.bias.data[EOS] = -100.0
    whole = made[0] if members == 1 else Ensemble(made)
    found_by, cpu = build_search(options, words()), torch.device("cpu")
    runner = BatchRunner(whole, found_by, cpu, torch.float32, 100, shortlist=shortlist)
    given = [constraints, NOTHING, constraints]
    expected = runner.run_search(SOURCES, given)
    with tagged_device() as tagged:
        tagged.waits.allow(sys.maxsize)
        tagged.move(whole)
        counts = count_at_steps(whole, tagged.waits)
        found = replace(runner, device=device()).run_search(SOURCES, given)
        counts.append(len(tagged.waits.places))
    require_equal(found, expected)
    first, *waits = np.diff([0, *counts]).tolist()
    name, places = options.search.name, tagged.waits.places
    assert max(waits) <= MOST_WAITS[name], (waits, places)
    assert first <= MOST_AT_FIRST, places
    if never_ends:
        assert max(waits[:-1]) <= MOST_WHILE_NONE_ENDS[name], (waits, places)


def require_equal(found: NBest, expected: NBest) -> None:
    """Require the same hypotheses; other kernels round differently."""
    for ours, theirs in zip(found, expected, strict=True):
        assert [each.tokens for each in ours] == [each.tokens for each in theirs]
        scores = [each.score for each in theirs]
        assert [each.score for each in ours] == pytest.approx(scores, rel=1e-4)


def count_at_steps(model: Any, waits: Waits) -> list[int]:
    """Return a list that gets the number of waits so far before each step of the model."""
    counts: list[int] = []

    step = model.step

    def call(*given: Any) -> Any:
        counts.append(len(waits.places))
        return step(*given)

    model.step = call
    return counts


def cases() -> Iterator[tuple[str, Any]]:
    """Yield each part of each table, and each rule and constraint with each search."""
    for name in SEARCHES:
        yield name, partial(search, {"search": name}, {})
        yield f"{name} never ends", partial(search, {"search": name}, {}, never_ends=True)
        for rule, options in RULES.items():
            yield f"{name} {rule}", partial(search, {"search": name, **options}, {})
        several = {} if name == "greedy" else {"n_best": 3}
        yield f"{name} three", partial(search, {"search": name, "beam_size": 6, **several}, {})
        prefix = Constraints((5, 6))
        yield f"{name} prefix", partial(search, {"search": name}, {}, constraints=prefix)
        if not SEARCHES[name].draws_samples:
            yield f"{name} shortlist", partial(search, {"search": name}, {}, shortlist=SHORTLIST)
        yield f"{name} ensemble", partial(search, {"search": name}, {}, members=2)
    for name in LENGTH_PENALTIES:
        yield f"length {name}", partial(search, {"length_penalty": name}, {})
    for name in COVERAGE_PENALTIES:
        yield f"coverage {name}", partial(search, {"coverage_penalty": name}, {})
    for name, options in OTHERS.items():
        yield name, partial(search, options, {})
    phrases = Constraints((), ((5, 6), (7,)))
    yield "phrases", partial(search, {}, {}, constraints=phrases)
    yield "phrases shortlist", partial(search, {}, {}, constraints=phrases, shortlist=SHORTLIST)
    for name in SCORES:
        yield f"score {name}", partial(search, {}, {"attention": {"score": name}})
    for name in ALIGNMENTS:
        yield f"alignment {name}", partial(search, {}, {"attention": {"alignment": name}})
    for name in CELLS:
        yield f"cell {name}", partial(search, {}, {"decoder": {"cell": name}})
    for name, decoder in DECODERS.items():
        attention = {} if decoder.uses_attention else {"attention": None}
        options = {"decoder": {"style": name}, **attention}
        yield f"decoder {name}", partial(search, {}, options)


CASES: Cases = dict(cases())
errors = cases_fixture("tests.integration.test_device_of_searches")


@pytest.mark.parametrize("case", CASES)
def test_searches_mix_no_devices_and_wait_as_often_as_stated(
    case: str, errors: dict[str, str]
) -> None:
    assert not errors[case], errors[case]


def test_each_search_has_a_stated_number_of_waits() -> None:
    assert MOST_WAITS.keys() == MOST_WHILE_NONE_ENDS.keys() == SEARCHES.keys()
