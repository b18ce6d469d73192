import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nmt.config.training import TrainingConfig
from nmt.core.batch import make_batch
from nmt.nn.attention.alignments.alignment import SampledAlignment
from nmt.training.objective.attention_loss import AttentionLoss, Reinforce
from nmt.training.objective.cross_entropy import TokenLoss, label_smoothed_cross_entropy
from nmt.training.objective.objective import (
    Objective,
    build_objective,
    duplicate_batch,
    symmetric_kl,
)
from tests.training.conftest import tiny_model

BATCH = make_batch([[5, 6, 7], [8]], [[6, 7], [5, 5, 8]])


def of_words(smoothing: float) -> tuple[Tensor, Tensor]:
    loss = label_smoothed_cross_entropy(tiny_model()(BATCH).logits, BATCH.labels, smoothing)
    return sums(loss)


def sums(loss: TokenLoss) -> tuple[Tensor, Tensor]:
    return loss.objective, loss.negative_log_likelihood


def test_of_words_alone() -> None:
    losses = Objective(0.1)(tiny_model(), BATCH)
    torch.testing.assert_close(sums(losses), of_words(0.1))


def test_what_is_asked_of_the_attention_is_added() -> None:
    decoded = tiny_model().decode(BATCH)
    attention = AttentionLoss(coverage=3.0)
    (coverage,) = attention(BATCH, decoded.weights)
    objective = Objective(0.1, attention)(tiny_model(), BATCH).objective
    torch.testing.assert_close(objective, of_words(0.1)[0] + coverage)


def test_sampled_positions_add_their_loss_to_that_of_the_weights() -> None:
    model = tiny_model()
    decoded = model.decode(BATCH)
    random = torch.rand(3, *BATCH.labels.shape)
    sampled = SampledAlignment(-random[0], random[1], random[2] > 0.3)
    model.decode = lambda *_: replace(decoded, sampled=sampled)  # type: ignore[method-assign]
    coverage, reinforce = AttentionLoss(coverage=3.0), Reinforce(weight=5.0)
    words = label_smoothed_cross_entropy(model.projection(decoded.vectors), BATCH.labels)
    expected = (
        words.objective
        + coverage(BATCH, decoded.weights)[0]
        + reinforce(sampled, words.log_probabilities, BATCH.label_mask)
    )
    found = Objective(attention=coverage, reinforce=reinforce)(model, BATCH).objective
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("attention", [AttentionLoss(), AttentionLoss(coverage=3.0)])
def test_without_dropout_two_passes_agree_and_count_as_one(attention: AttentionLoss) -> None:
    once = Objective(0.1, attention)(tiny_model(), BATCH)
    both = Objective(0.1, attention, r_drop=5.0)(tiny_model(), BATCH)
    torch.testing.assert_close(sums(both), sums(once))


def test_dropout_makes_two_passes_disagree_and_that_is_weighted() -> None:
    model = tiny_model(dropout=0.5)

    def losses(r_drop: float) -> float:
        torch.manual_seed(1)
        return Objective(r_drop=r_drop)(model, BATCH).objective.item()

    torch.manual_seed(1)
    logits = model(duplicate_batch(BATCH)).logits
    apart = symmetric_kl(logits.log_softmax(-1), duplicate_batch(BATCH).labels).item()
    assert apart > 0.01
    assert losses(3.0) - losses(1.0) == pytest.approx(2.0 * apart, rel=1e-4)


def test_what_is_asked_of_the_attention_is_asked_of_both_passes() -> None:
    attention = AttentionLoss(coverage=3.0)
    model = tiny_model(dropout=0.5)
    torch.manual_seed(1)
    both = duplicate_batch(BATCH)
    decoded = model.decode(both)
    logits = model.projection(decoded.vectors)
    words = label_smoothed_cross_entropy(logits, both.labels, 0.1)
    (coverage,) = attention(both, decoded.weights)
    apart = symmetric_kl(logits.log_softmax(-1), both.labels)
    torch.manual_seed(1)
    losses = Objective(0.1, attention, r_drop=2.0)(model, BATCH)
    torch.testing.assert_close(losses.objective, (words.objective + coverage) / 2 + 2.0 * apart)
    torch.testing.assert_close(losses.negative_log_likelihood, words.negative_log_likelihood / 2)


def test_the_model_computes_in_the_precision_and_the_losses_do_not() -> None:
    model, kinds = tiny_model(), []
    model.decoder.register_forward_hook(lambda _, given, seen: kinds.append(seen.vectors.dtype))
    for r_drop in (0.0, 1.0):
        losses = Objective(r_drop=r_drop, precision=torch.bfloat16)(model, BATCH)
        exact = Objective(r_drop=r_drop)(model, BATCH)
        assert losses.objective.dtype == losses.negative_log_likelihood.dtype == torch.float32
        torch.testing.assert_close(losses.objective, exact.objective, rtol=2e-2, atol=0.0)
    assert kinds == [torch.bfloat16, torch.float32] * 2


def test_a_sentence_and_its_second_pass_are_half_a_batch_apart() -> None:
    links = torch.rand(2, 4, 4)
    both = duplicate_batch(replace(BATCH, alignment=links))
    assert both.alignment is not None and torch.equal(both.alignment, torch.cat((links, links)))
    assert both.num_sentences == 4
    assert both.num_target_tokens == 2 * BATCH.num_target_tokens
    first, second = both.source.chunk(2)
    assert torch.equal(first, BATCH.source) and torch.equal(second, BATCH.source)


def test_disagreement_by_hand() -> None:
    # p = (1/2, 1/2) and q = (1/4, 3/4) over two words; the second place is padding.
    logits = torch.tensor([[[1.0, 1.0], [9.0, 0.0]], [[0.0, math.log(3.0)], [0.0, 9.0]]])
    labels = torch.tensor([[4, 0], [4, 0]])
    forth = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    back = 0.25 * math.log(1 / 2) + 0.75 * math.log(3 / 2)
    assert symmetric_kl(logits.log_softmax(-1), labels).item() == pytest.approx(
        0.5 * (forth + back)
    )


def test_the_gradient_of_disagreement_by_finite_differences() -> None:
    torch.manual_seed(2)
    logits = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[4, 5, 0], [6, 0, 0]]).repeat(2, 1)
    assert torch.autograd.gradcheck(
        lambda given: symmetric_kl(given.log_softmax(-1), labels), logits
    )


def test_every_option_reaches_the_objective() -> None:
    config = TrainingConfig.model_validate(
        {
            "label_smoothing": 0.3,
            "coverage_loss": 0.4,
            "r_drop": 0.5,
            "guided_attention": {"weight": 0.6, "loss": "squared_error"},
            "reinforce": {"weight": 0.7, "entropy": 0.8, "discount": 0.9},
        }
    )
    attention = AttentionLoss(0.4, 0.6, "squared_error")
    found = build_objective(config, torch.bfloat16)
    assert found == Objective(0.3, attention, 0.5, torch.bfloat16, Reinforce(0.7, 0.8, 0.9))
