import math

import numpy as np
import pytest
import torch

from nmt.core.batch import Batch
from nmt.core.special_tokens import BOS, EOS, PAD
from nmt.inference.forced_decoding import (
    ForcedAttention,
    SentenceAlignment,
    SentenceScore,
    TokenAttention,
    align_units,
    read_attention,
    read_log_probabilities,
    read_scored_attention,
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
    first, second = read_attention(BATCH, ModelOutput(torch.zeros(2, 2, 5), weights))
    assert first.weights.tolist() == [[0.0, 1.0]]
    assert second.weights.tolist() == [[6.0, 7.0, 8.0], [9.0, 10.0, 11.0]]
    assert first.heads is None and first.log_probabilities is None


def test_weights_of_heads_lose_the_padding_too():
    heads = torch.arange(24.0).view(2, 2, 2, 3)  # [B T N S]
    output = ModelOutput(torch.zeros(2, 2, 5), heads.mean(2), heads=heads)
    first, second = read_attention(BATCH, output)
    assert first.heads is not None and second.heads is not None
    assert first.heads.tolist() == [[[0.0, 1.0]], [[3.0, 4.0]]]
    assert second.heads.shape == (2, 2, 3)  # [N T S]
    assert second.heads[1].tolist() == [[15.0, 16.0, 17.0], [21.0, 22.0, 23.0]]


def test_attention_can_be_read_with_the_scores():
    output = ModelOutput(torch.zeros(2, 2, 5), torch.zeros(2, 2, 3))
    first, second = read_scored_attention(BATCH, output)
    assert first.log_probabilities == pytest.approx([-math.log(5)])
    assert second.log_probabilities == pytest.approx([-math.log(5)] * 2)


def test_words_are_aligned_by_their_tokens():
    source = UnitTokens(["ab", "c"], [{0: 1.0, 1: 1.0}, {2: 1.0}], np.ones(3), "words")
    target = UnitTokens(["x"], [{0: 1.0}], np.ones(1), "words")
    # A row for the token and one for EOS, a column more for EOS.
    weights = np.array([[0.3, 0.3, 0.4, 0.0], [0.0, 0.0, 0.0, 1.0]], dtype=np.float32)
    heads = np.stack([weights, np.eye(2, 4, dtype=np.float32)])
    alignment = align_units(source, target, ForcedAttention(weights, heads, (-1.0, -2.0)))
    assert alignment.units == "words"
    assert alignment.source_words == ("ab", "c")
    assert alignment.target_words == ("x",)
    assert alignment.weights == pytest.approx(np.array([[0.6, 0.4]]), abs=1e-6)
    assert alignment.links == {(0, 0)}
    first, second = alignment.heads
    assert first.tolist() == alignment.weights.tolist()
    assert second.tolist() == [[1.0, 0.0]]
    assert alignment.token_log_probabilities == (-1.0, -2.0)


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
    assert align_units(*of_sides, ForcedAttention(np.eye(2, dtype=np.float32))).units == units


def test_bertviz_gets_a_layer_of_cross_attention_between_tokens():
    weights = np.array([[0.25, 0.75], [1.0, 0.0]], np.float32)
    tokens = TokenAttention(("a", "</s>"), ("x", "</s>"), weights, np.stack([weights, 1 - weights]))
    alignment = SentenceAlignment(("a",), ("x",), weights[:1, :1], frozenset(), tokens=tokens)
    given = alignment.bertviz()
    assert given["encoder_tokens"] == ["a", "</s>"] and given["decoder_tokens"] == ["x", "</s>"]
    (layer,) = given["cross_attention"]
    assert layer.shape == (1, 2, 2, 2)  # [1, heads, target, source]
    assert layer[0, 0].tolist() == weights.tolist()
    assert layer[0, 1].tolist() == (1 - weights).tolist()


def test_bertviz_shows_the_cells_of_a_grid():
    alignment = SentenceAlignment(("1,1", "1,2"), ("x",), np.array([[0.4, 0.6]]), frozenset())
    given = alignment.bertviz()
    assert given["encoder_tokens"] == ["1,1", "1,2"] and given["decoder_tokens"] == ["x"]
    assert given["cross_attention"][0].shape == (1, 1, 1, 2)
