import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nmt.config.losses import GuidedAttentionConfig, ReinforceConfig
from nmt.config.registry import LOSSES, Options
from nmt.config.training import TrainingConfig
from nmt.core.batch import Batch, make_batch
from nmt.nn.attention.alignments.alignment import SampledAlignment
from nmt.nn.decoders.interface import DecoderOutput
from nmt.training.objective.attention_loss import CoverageLoss, GuidedAttention, Reinforce
from nmt.training.objective.cross_entropy import (
    TokenLoss,
    label_smoothed_cross_entropy,
    label_smoothed_nll,
)
from nmt.training.objective.loss_term import LossTerm, Outputs
from nmt.training.objective.objective import Objective, build_objective, duplicate_batch
from nmt.training.objective.output_loss import (
    EntropyBonus,
    LabelSmoothing,
    RDrop,
    symmetric_kl,
)
from tests.training.conftest import tiny_model

BATCH = make_batch([[5, 6, 7], [8]], [[6, 7], [5, 5, 8]])
SMOOTHED = LabelSmoothing(weight=0.1)


def outputs(
    batch: Batch, decoded: DecoderOutput, label_log_probabilities: Tensor | None = None
) -> Outputs:
    if label_log_probabilities is None:
        label_log_probabilities = torch.zeros(batch.labels.shape)
    return Outputs(batch, decoded, label_log_probabilities)


def of_words(smoothing: float) -> tuple[Tensor, Tensor]:
    loss = label_smoothed_cross_entropy(tiny_model()(BATCH).logits, BATCH.labels, smoothing)
    return sums(loss)


def sums(loss: TokenLoss) -> tuple[Tensor, Tensor]:
    return loss.objective, loss.negative_log_likelihood


def test_words_only() -> None:
    losses = Objective((SMOOTHED,))(tiny_model(), BATCH)
    torch.testing.assert_close(sums(losses), of_words(0.1))


def test_attention_losses_are_added() -> None:
    decoded = tiny_model().decode(BATCH)
    coverage = CoverageLoss(weight=3.0)(outputs(BATCH, decoded))
    objective = Objective((SMOOTHED, CoverageLoss(weight=3.0)))(tiny_model(), BATCH).objective
    torch.testing.assert_close(objective, of_words(0.1)[0] + coverage)


def test_sampled_positions_add_their_loss_to_that_of_the_weights() -> None:
    model = tiny_model()
    decoded = model.decode(BATCH)
    random = torch.rand(3, *BATCH.labels.shape)
    sampled = SampledAlignment(-random[0], random[1], random[2] > 0.3)
    model.decode = lambda *_: replace(decoded, sampled=sampled)  # type: ignore[method-assign]
    coverage, reinforce = CoverageLoss(weight=3.0), Reinforce(weight=5.0)
    words = label_smoothed_cross_entropy(model.projection(decoded.vectors), BATCH.labels)
    given = outputs(BATCH, replace(decoded, sampled=sampled), words.log_probabilities)
    expected = words.objective
    for term in (coverage, reinforce):
        value = term(given)
        assert value is not None
        expected = expected + value
    found = Objective((coverage, reinforce))(model, BATCH).objective
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("terms", [(), (CoverageLoss(weight=3.0), EntropyBonus(weight=2.0))])
def test_without_dropout_two_passes_agree_and_count_as_one(terms: tuple[LossTerm, ...]) -> None:
    once = Objective((SMOOTHED, *terms))(tiny_model(), BATCH)
    both = Objective((SMOOTHED, *terms, RDrop(weight=5.0)))(tiny_model(), BATCH)
    torch.testing.assert_close(sums(both), sums(once))


def test_dropout_makes_two_passes_disagree_and_that_is_weighted() -> None:
    model = tiny_model(dropout=0.5)

    def losses(r_drop: float) -> float:
        torch.manual_seed(1)
        return Objective((RDrop(weight=r_drop),))(model, BATCH).objective.item()

    torch.manual_seed(1)
    logits = model(duplicate_batch(BATCH)).logits
    apart = symmetric_kl(logits.log_softmax(-1), duplicate_batch(BATCH).labels).item()
    assert apart > 0.01
    assert losses(3.0) - losses(1.0) == pytest.approx(2.0 * apart, rel=1e-4)


def test_attention_losses_apply_to_both_passes() -> None:
    model = tiny_model(dropout=0.5)
    torch.manual_seed(1)
    both = duplicate_batch(BATCH)
    decoded = model.decode(both)
    logits = model.projection(decoded.vectors)
    words = label_smoothed_cross_entropy(logits, both.labels, 0.1)
    coverage = CoverageLoss(weight=3.0)(outputs(both, decoded))
    apart = symmetric_kl(logits.log_softmax(-1), both.labels)
    torch.manual_seed(1)
    terms = (SMOOTHED, CoverageLoss(weight=3.0), RDrop(weight=2.0))
    losses = Objective(terms)(model, BATCH)
    torch.testing.assert_close(losses.objective, (words.objective + coverage) / 2 + 2.0 * apart)
    torch.testing.assert_close(losses.negative_log_likelihood, words.negative_log_likelihood / 2)


def test_losses_are_added_in_the_order_of_earlier_versions() -> None:
    once = replace(BATCH, alignment=torch.rand(*BATCH.labels.shape, BATCH.source.shape[1]))
    model, batch = tiny_model(dropout=0.5), duplicate_batch(once)
    for seed in range(30):
        torch.manual_seed(seed)
        decoded = model.decode(batch)
        log_probabilities = model.projection(decoded.vectors).log_softmax(-1)
        words = label_smoothed_nll(log_probabilities, batch.labels, 0.1).objective
        terms = CoverageLoss(weight=0.3), GuidedAttention(weight=0.7)
        weighted = [term(outputs(batch, decoded)) for term in terms]
        attention = torch.stack([value for value in weighted if value is not None]).sum()
        disagreement = symmetric_kl(log_probabilities, batch.labels)
        expected = 0.5 * (words + attention) + 0.9 * disagreement
        torch.manual_seed(seed)
        objective = Objective((SMOOTHED, terms[0], RDrop(weight=0.9), terms[1]))
        assert torch.equal(objective(model, once).objective, expected)


def test_the_model_computes_in_the_precision_and_the_losses_do_not() -> None:
    model, kinds = tiny_model(), []
    model.decoder.register_forward_hook(lambda _, given, seen: kinds.append(seen.vectors.dtype))
    several: list[tuple[LossTerm, ...]] = [(), (RDrop(),)]
    for terms in several:
        losses = Objective(terms, torch.bfloat16)(model, BATCH)
        exact = Objective(terms)(model, BATCH)
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
            "losses": [{"name": "entropy", "weight": 0.2}],
        }
    )
    found = build_objective(config, torch.bfloat16)
    assert found.precision == torch.bfloat16
    assert set(found.terms) == {
        LabelSmoothing(weight=0.3),
        CoverageLoss(weight=0.4),
        RDrop(weight=0.5),
        GuidedAttention(weight=0.6, loss="squared_error"),
        Reinforce(weight=0.7, entropy=0.8, discount=0.9),
        EntropyBonus(weight=0.2),
    }


def test_default_terms_are_label_smoothing_and_reinforce() -> None:
    found = build_objective(TrainingConfig(), torch.float32)
    assert found == Objective((LabelSmoothing(weight=0.1), Reinforce()))


def test_entropy_bonus_by_hand() -> None:
    """Subtract the entropies of (1/2, 1/2) and (1/4, 3/4); the last position is padding."""
    decoded = tiny_model().decode(BATCH)
    batch = make_batch([[5]], [[4, 4]])
    probabilities = torch.tensor([[[0.5, 0.5], [0.25, 0.75], [0.5, 0.5]]])
    batch = replace(batch, target=torch.tensor([[2, 4, 4, 0]]))
    given = Outputs(batch, decoded, torch.zeros(1, 3), probabilities.log())
    entropy = math.log(2) + 0.25 * math.log(4) + 0.75 * math.log(4 / 3)
    assert EntropyBonus(weight=0.5)(given).item() == pytest.approx(-0.5 * entropy)


def test_entropy_bonus_is_added_to_the_objective() -> None:
    model = tiny_model()
    logs = model.projection(model.decode(BATCH).vectors).log_softmax(-1)
    entropy = -(logs.exp() * logs).sum(-1)[BATCH.label_mask].sum()
    found = sums(Objective((SMOOTHED, EntropyBonus(weight=3.0)))(model, BATCH))
    objective, likelihood = of_words(0.1)
    torch.testing.assert_close(found, (objective - 3.0 * entropy, likelihood))


def test_uniform_distribution_has_the_largest_entropy() -> None:
    decoded = tiny_model().decode(BATCH)
    logits = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(1))
    values = []
    for given in (torch.zeros_like(logits), logits):
        outputs = Outputs(BATCH, decoded, torch.zeros(2, 4), given.log_softmax(-1))
        values.append(EntropyBonus(weight=1.0)(outputs))
    assert values[0] < values[1]
    assert values[0].item() == pytest.approx(-BATCH.num_target_tokens * math.log(5), rel=1e-6)


class Constant(LossTerm):
    """Adds a number that is easy to recognise."""

    def __call__(self, outputs: Outputs) -> Tensor:
        assert outputs.log_probabilities is None, "no term needs the whole distribution"
        assert outputs.batch.num_sentences == BATCH.num_sentences
        return torch.tensor(1000.0)


def test_a_term_reads_no_distribution_unless_it_needs_one() -> None:
    found = Objective((SMOOTHED, Constant()))(tiny_model(), BATCH).objective
    torch.testing.assert_close(found, of_words(0.1)[0] + 1000.0)


@pytest.mark.parametrize(
    ("name", "group"), [("guided_attention", GuidedAttentionConfig), ("reinforce", ReinforceConfig)]
)
def test_the_options_of_a_group_are_those_of_its_term(name: str, group: type[Options]) -> None:
    of_term, of_group = (
        {key: (field.annotation, field.default, field.metadata) for key, field in fields.items()}
        for fields in (LOSSES.options(name).model_fields, group.model_fields)
    )
    assert of_group == of_term
