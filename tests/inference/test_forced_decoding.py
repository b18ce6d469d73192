import math

import numpy as np
import pytest
import torch

from nmt.core.batch import Batch
from nmt.core.special_tokens import BOS, EOS, PAD
from nmt.inference.forced_decoding import (
    SentenceScore,
    align_units,
    read_log_probabilities,
    read_weights,
)
from nmt.nn.model import ModelOutput
from nmt.text.unit_tokens import UnitTokens

# Two pairs: one source token and no target token; two source tokens and one target token.
BATCH = Batch(
    source=torch.tensor([[5, EOS, PAD], [5, 6, EOS]]),
    source_lengths=torch.tensor([2, 3]),
    target=torch.tensor([[BOS, EOS, PAD], [BOS, 4, EOS]]),
    num_target_tokens=3,
)


def test_a_score_worked_by_hand():
    score = SentenceScore(("good", "</s>"), (-1.0, -3.0))
    assert score.num_tokens == 2
    assert score.log_probability == -4.0
    assert score.perplexity == pytest.approx(math.exp(2.0))


def test_perplexity_of_nearly_impossible_text_is_infinite():
    assert SentenceScore(("odd", "</s>"), (-1e6, -1e6)).perplexity == math.inf


def test_each_label_has_its_log_probability():
    probabilities = torch.full((2, 2, 5), 0.1)
    probabilities[0, 0] = torch.tensor([0.1, 0.1, 0.1, 0.5, 0.2])
    probabilities[1, 0] = torch.tensor([0.1, 0.1, 0.1, 0.3, 0.4])
    probabilities[1, 1] = torch.tensor([0.2, 0.2, 0.2, 0.2, 0.2])
    # Logits are log-probabilities up to a constant.
    output = ModelOutput(probabilities.log() + 7.0, torch.zeros(2, 2, 3))
    first, second = read_log_probabilities(BATCH, output)
    assert first == pytest.approx([math.log(0.5)], abs=1e-6)
    assert second == pytest.approx([math.log(0.4), math.log(0.2)], abs=1e-6)


def test_weights_depend_only_on_the_tokens():
    weights = torch.arange(12.0).view(2, 2, 3)
    first, second = read_weights(BATCH, ModelOutput(torch.zeros(2, 2, 5), weights))
    assert first.tolist() == [[0.0, 1.0]]
    assert second.tolist() == [[6.0, 7.0, 8.0], [9.0, 10.0, 11.0]]


def test_words_are_aligned_by_their_tokens():
    source = UnitTokens(["ab", "c"], [{0: 1.0, 1: 1.0}, {2: 1.0}], np.ones(3), "words")
    target = UnitTokens(["x"], [{0: 1.0}], np.ones(1), "words")
    # A row for the token and one for EOS, a column more for EOS.
    weights = np.array([[0.3, 0.3, 0.4, 0.0], [0.0, 0.0, 0.0, 1.0]], dtype=np.float32)
    alignment = align_units(source, target, weights)
    assert alignment.units == "words"
    assert alignment.source_words == ("ab", "c")
    assert alignment.target_words == ("x",)
    assert alignment.weights == pytest.approx(np.array([[0.6, 0.4]]), abs=1e-6)
    assert alignment.links == {(0, 0)}


@pytest.mark.parametrize(
    ("source", "target", "units"),
    [
        ("words", "words", "words"),
        ("characters", "characters", "characters"),
        ("words", "characters", "words and characters"),
        ("words and characters", "characters", "words and characters"),
        (None, "characters", "characters"),
        ("pieces", None, "pieces"),
        (None, None, "words"),
    ],
)
def test_an_alignment_states_the_units_of_both_sides(source, target, units):
    of_sides = [UnitTokens(["x"], [{0: 1.0}], np.ones(1), side) for side in (source, target)]
    assert align_units(*of_sides, np.eye(2, dtype=np.float32)).units == units
