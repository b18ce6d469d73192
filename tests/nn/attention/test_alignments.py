"""Each alignment against its formula: by hand, written plainly, or the published package."""

import math

import entmax as published
import pytest
import torch
from torch import Tensor

from nmt.core.errors import ConfigError
from nmt.nn.attention.alignments.alignment import Alignment, AlignmentOutput, SoftmaxAlignment
from nmt.nn.attention.alignments.entmax import (
    EntmaxAlignment,
    SparsemaxAlignment,
    entmax,
    entmax15,
    sparsemax,
)
from nmt.nn.attention.alignments.hard import GumbelAlignment, HardAlignment
from nmt.nn.attention.alignments.local import LocalMonotonicAlignment, LocalPredictiveAlignment
from nmt.nn.attention.alignments.monotonic import MonotonicAlignment
from nmt.nn.attention.alignments.table import ALIGNMENTS

QUERY = 3
ALL = torch.ones(1, 5, dtype=torch.bool)


def align(alignment: Alignment, scores: Tensor, mask: Tensor = ALL) -> AlignmentOutput:
    torch.manual_seed(1)
    aligned: AlignmentOutput = alignment(scores, mask, torch.randn(*scores.shape[:2], QUERY))
    return aligned


def in_turn(alignment: Alignment, scores: Tensor, mask: Tensor) -> Tensor:
    """The weights of step after step, `[B T S]`."""
    state, weights = alignment.start(mask), []
    for step in scores.unbind(1):
        aligned = alignment(step.unsqueeze(1), mask, torch.zeros(len(mask), 1, QUERY), state)
        state = aligned.state
        weights.append(aligned.weights)
    return torch.cat(weights, dim=1)


def test_softmax_by_hand() -> None:
    scores = torch.tensor([[[0.0, math.log(3.0), 7.0]]])
    mask = torch.tensor([[True, True, False]])
    weights = align(SoftmaxAlignment(QUERY), scores, mask).weights
    torch.testing.assert_close(weights, torch.tensor([[[0.25, 0.75, 0.0]]]))
    sharp = align(SoftmaxAlignment(QUERY, temperature=0.5), scores, mask).weights
    torch.testing.assert_close(sharp, torch.tensor([[[0.1, 0.9, 0.0]]]))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", [0.1, 1.0, 10.0])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (sparsemax, published.sparsemax),
        (entmax15, published.entmax15),
        (lambda z: entmax(z, torch.tensor(1.2)), lambda z: published.entmax_bisect(z, 1.2)),
        (lambda z: entmax(z, torch.tensor(1.5)), published.entmax15),
        (lambda z: entmax(z, torch.tensor(2.0)), published.sparsemax),
    ],
    ids=["sparsemax", "entmax 1.5", "bisection 1.2", "bisection 1.5", "bisection 2"],
)
def test_sparse_maps_agree_with_the_published_ones(
    ours: object, theirs: object, spread: float, kind: torch.dtype
) -> None:
    torch.manual_seed(2)
    scores = (spread * torch.randn(40, 17)).to(kind).requires_grad_()
    upstream = torch.randn(40, 17).to(kind)
    results = []
    for function in (ours, theirs):
        weights = function(scores)  # type: ignore[operator]
        (gradient,) = torch.autograd.grad((weights * upstream).sum(), scores)
        results.append((weights.detach(), gradient))
    (weights, gradient), (expected_weights, expected_gradient) = results
    torch.testing.assert_close(weights, expected_weights, rtol=0, atol=1e-6)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-5, atol=2e-6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(40).to(kind), rtol=0, atol=1e-6)


def test_the_gradient_of_alpha_is_the_published_one_and_that_of_differences() -> None:
    torch.manual_seed(3)
    scores = torch.randn(4, 6, dtype=torch.double, requires_grad=True)
    upstream = torch.randn(4, 6, dtype=torch.double)
    gradients = []
    for function in (entmax, published.entmax_bisect):
        alpha = torch.tensor(1.4, dtype=torch.double, requires_grad=True)
        loss = (function(scores, alpha) * upstream).sum()
        gradients.append(torch.autograd.grad(loss, alpha)[0].sum())
    torch.testing.assert_close(*gradients)
    alpha = torch.tensor(1.4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(entmax, (scores, alpha), atol=1e-6)


def test_sparsemax_by_hand() -> None:
    # 1.0, 0.8 and 0.1: the threshold is (1.0 + 0.8 - 1) / 2 = 0.4, under which 0.1 lies.
    scores = torch.tensor([[[0.1, 1.0, 0.8, 9.0, 9.0]]])
    mask = torch.tensor([[True, True, True, False, False]])
    weights = align(SparsemaxAlignment(QUERY), scores, mask).weights
    torch.testing.assert_close(weights, torch.tensor([[[0.0, 0.6, 0.4, 0.0, 0.0]]]))


def test_entmax_goes_from_softmax_to_sparsemax() -> None:
    torch.manual_seed(4)
    scores = torch.randn(2, 3, 5)
    mask = torch.ones(2, 5, dtype=torch.bool)
    soft, sparse = SoftmaxAlignment(QUERY), SparsemaxAlignment(QUERY)
    for alpha, end, tolerance in ((1.001, soft, 1e-3), (2.0, sparse, 1e-6)):
        found = align(EntmaxAlignment(QUERY, alpha=alpha), scores, mask).weights
        expected = align(end, scores, mask).weights
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


def test_learned_alpha_starts_at_alpha_and_gets_a_gradient() -> None:
    scores = torch.randn(1, 2, 5)
    learned = EntmaxAlignment(QUERY, alpha=1.5, learn_alpha=True)
    weights = align(learned, scores).weights
    torch.testing.assert_close(weights, align(EntmaxAlignment(QUERY), scores).weights)
    weights.square().sum().backward()
    assert learned.logit is not None and learned.logit.grad is not None
    assert learned.logit.grad.abs() > 0


@pytest.mark.parametrize("alpha", [1.012, 1.3, 1.95])
def test_alpha_gets_its_gradient_in_float32(alpha: float) -> None:
    """Near 1 the formula is a difference of large terms."""
    torch.manual_seed(1)
    scores = torch.randn(4, 7)
    gradients = []
    for kind in (torch.float32, torch.float64):
        order = torch.tensor(alpha, dtype=kind, requires_grad=True)
        (entmax(scores.to(kind), order) * scores.to(kind)).sum().backward()
        assert order.grad is not None
        gradients.append(order.grad.double())
    torch.testing.assert_close(*gradients, rtol=0.05, atol=1e-3)


@pytest.mark.parametrize("logit", [-100.0, 100.0])
def test_a_learned_alpha_cannot_leave_its_range(logit: float) -> None:
    alignment = EntmaxAlignment(QUERY, learn_alpha=True)
    assert alignment.logit is not None
    with torch.no_grad():
        alignment.logit.fill_(logit)
    scores = torch.randn(1, 2, 4, requires_grad=True)
    weights = alignment(
        scores, torch.tensor([[True, True, True, False]]), torch.zeros(1, 2, QUERY)
    ).weights
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2))
    weights.square().sum().backward()
    assert alignment.logit.grad is not None and alignment.logit.grad.isfinite()
    assert scores.grad is not None and scores.grad.isfinite().all()


def test_a_learned_alpha_must_start_in_its_range() -> None:
    with pytest.raises(ConfigError) as raised:
        EntmaxAlignment(QUERY, alpha=3.0, learn_alpha=True)
    assert str(raised.value) == (
        "model.attention.alignment.alpha: must be between 1.01 and 1.99 if learned, not 3; set it "
        "to 1.5, or learn_alpha: false"
    )


@pytest.mark.parametrize("name", ALIGNMENTS)
def test_nan_is_preserved(name: str) -> None:
    """So that the update is skipped and counted; what is drawn of it must not raise."""
    alignment = ALIGNMENTS[name](QUERY).train()
    mask = torch.ones(8, 3, dtype=torch.bool)
    scores = torch.zeros(8, 1, 3)
    scores[4:] = torch.nan
    torch.manual_seed(1)
    aligned = alignment(scores, mask, torch.zeros(8, 1, QUERY), alignment.start(mask))
    assert aligned.weights[:4].isfinite().all()
    if aligned.sampled is None:
        assert aligned.weights[4:].isnan().any(-1).all()
    else:  # the position that is drawn is one, and how likely it was is not known
        assert set(aligned.weights[4:].nan_to_num(nan=-1.0).unique().tolist()) <= {-1.0, 0.0, 1.0}
        assert aligned.sampled.entropy[4:].isnan().all()
        assert aligned.sampled.entropy[:4].isfinite().all()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["softmax", "gumbel"])
def test_a_low_temperature_stays_finite(name: str, training: bool) -> None:
    alignment = ALIGNMENTS[name](QUERY, temperature=0.01).train(training)
    scores = torch.tensor([[[-1e37, -1e37, 0.0]]])
    mask = torch.tensor([[True, True, False]])
    weights = alignment(scores, mask, torch.zeros(1, 1, QUERY)).weights
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 1))


def test_local_p_knows_positions_beyond_256_in_bfloat16() -> None:
    torch.manual_seed(1)
    alignment = LocalPredictiveAlignment(QUERY)
    query, mask = torch.randn(1, 3, QUERY), torch.ones(1, 500, dtype=torch.bool)
    centres = []
    for reduced in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=reduced):
            weights = alignment(torch.zeros(1, 3, 500), mask, query).weights
        centres.append((weights * torch.arange(500)).sum(-1) / weights.sum(-1))
    # What is left is bfloat16 of the share itself: one part in 256.
    torch.testing.assert_close(*centres, rtol=0.0, atol=500 / 256)


def test_monotonic_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(1)
    alignment = MonotonicAlignment(QUERY, noise=0.0).double().train()
    mask = torch.tensor([[True, True, True, True], [True, True, False, False]])

    scores = torch.randn(2, 3, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda scores: in_turn(alignment, scores, mask), (scores,))


def test_local_m_by_hand() -> None:
    scores = torch.zeros(1, 5, 5)
    mask = torch.tensor([[True, True, True, True, False]])
    weights = align(LocalMonotonicAlignment(QUERY, window=1), scores, mask).weights
    third = 1 / 3
    expected = [
        [0.5, 0.5, 0, 0, 0],
        [third, third, third, 0, 0],
        [0, third, third, third, 0],
        [0, 0, 0.5, 0.5, 0],
        [0, 0, 0.5, 0.5, 0],  # past the end: it stays at the last position
    ]
    torch.testing.assert_close(weights[0], torch.tensor(expected))


def test_a_step_of_adam_moves_the_predicted_position_a_little() -> None:
    """Where every number is pushed the same way; far out the sigmoid would not come back."""
    torch.manual_seed(1)
    size, length, window = 512, 21, 40
    alignment = LocalPredictiveAlignment(size, window=window)
    optimizer = torch.optim.Adam(alignment.parameters(), lr=2e-3)
    query, mask = torch.randn(1, 1, size).tanh(), torch.ones(1, length, dtype=torch.bool)

    def position() -> Tensor:
        weights = alignment(torch.zeros(1, 1, length), mask, query).weights[0, 0]
        # log w_0 / w_1 = 2 ((1 - p)^2 - p^2) / D^2 = 2 (1 - 2 p) / D^2
        return (1 - (weights[0] / weights[1]).log() * window**2 / 2) / 2

    before = position()
    assert 8 < before < 12
    before.backward()
    optimizer.step()
    assert 1 < before - position() < 4


def test_local_p_by_hand() -> None:
    alignment = LocalPredictiveAlignment(QUERY, window=2)
    with torch.no_grad():
        alignment.direction.weight.zero_()  # sigmoid(0) = 1/2: the middle, position 2 of 0 to 4
    weights = align(alignment, torch.zeros(1, 1, 5)).weights
    # softmax over the five, times exp(-(s - 2)^2 / (2 * 1^2))
    expected = torch.tensor([[[math.exp(-2), math.exp(-0.5), 1, math.exp(-0.5), math.exp(-2)]]]) / 5
    torch.testing.assert_close(weights, expected)
    narrow = LocalPredictiveAlignment(QUERY, window=1)
    narrow.load_state_dict(alignment.state_dict())
    # three positions; sigma is 1/2
    expected = torch.tensor([[[0, math.exp(-2), 1, math.exp(-2), 0]]]) / 3
    torch.testing.assert_close(align(narrow, torch.zeros(1, 1, 5)).weights, expected)


def test_hard_takes_the_best_in_translation() -> None:
    scores = torch.tensor([[[0.0, 3.0, 1.0, 9.0, 0.0]]])
    mask = torch.tensor([[True, True, True, False, False]])
    for alignment in (HardAlignment(QUERY), GumbelAlignment(QUERY)):
        aligned = align(alignment.eval(), scores, mask)
        assert aligned.weights.tolist() == [[[0, 1, 0, 0, 0]]] and aligned.sampled is None


def test_hard_samples_in_training_as_often_as_is_likely() -> None:
    alignment = HardAlignment(QUERY, expected=0.0).train()
    scores = torch.tensor([0.0, math.log(3.0)]).expand(4000, 1, 2)
    mask = torch.ones(4000, 2, dtype=torch.bool)
    torch.manual_seed(1)
    aligned = alignment(scores, mask, torch.zeros(4000, 1, QUERY), alignment.start(mask))
    assert set(aligned.weights.flatten().tolist()) == {0.0, 1.0}
    assert aligned.weights[:, 0, 1].mean().item() == pytest.approx(0.75, abs=0.03)
    assert aligned.sampled is not None and aligned.sampled.is_sampled.all()
    likely = torch.where(aligned.weights[..., 1] == 1, 0.75, 0.25).log()
    torch.testing.assert_close(aligned.sampled.log_probability, likely)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    torch.testing.assert_close(aligned.sampled.entropy, torch.full((4000, 1), entropy))


def test_hard_takes_the_expectation_for_some_sentences() -> None:
    alignment = HardAlignment(QUERY, expected=0.5).train()
    mask = torch.ones(2000, 2, dtype=torch.bool)
    torch.manual_seed(1)
    state = alignment.start(mask)
    assert state is not None and state.float().mean().item() == pytest.approx(0.5, abs=0.05)
    scores = torch.zeros(2000, 3, 2)
    aligned = alignment(scores, mask, torch.zeros(2000, 3, QUERY), state)
    assert (aligned.weights[~state] == 0.5).all() and (aligned.weights[state] != 0.5).all()
    assert aligned.sampled is not None
    assert (aligned.sampled.log_probability[~state] == 0).all()
    assert torch.equal(aligned.state, state), "a sentence stays what it is"


def test_gumbel_draws_one_position_and_passes_the_gradient_of_softmax() -> None:
    alignment = GumbelAlignment(QUERY).train()
    scores = torch.tensor([0.0, math.log(3.0)]).repeat(4000, 1, 1).requires_grad_()
    mask = torch.ones(4000, 2, dtype=torch.bool)
    torch.manual_seed(1)
    weights = alignment(scores, mask, torch.zeros(4000, 1, QUERY)).weights
    assert weights[:, 0, 1].round().mean().item() == pytest.approx(0.75, abs=0.03)
    torch.testing.assert_close(weights, weights.round(), rtol=0, atol=1e-6)
    weights[..., 0].sum().backward()
    assert scores.grad is not None and (scores.grad[..., 0] > 0).all()


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_gumbel_is_its_formula(temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """``argmax(e + g)`` forward, ``J(softmax((e + g) / t)) / t`` backward."""
    drawn = torch.tensor([[[0.2, 1.5, 0.9, 0.01, 3.0], [1.0, 1.0, 0.1, 0.01, 0.5]]])
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self: self.copy_(drawn))
    mask = torch.tensor([[True, True, True, False, True]])
    scores = torch.tensor([[[0.3, 1.0, 0.2, 9.0, 1.5], [2.0, 0.0, 0.5, 9.0, 0.1]]])
    scores.requires_grad_()
    upstream = torch.tensor([0.5, -1.0, 2.0, 7.0, 0.1])
    alignment = GumbelAlignment(QUERY, temperature=temperature).train()
    weights = alignment(scores, mask, torch.zeros(1, 2, QUERY)).weights
    (found,) = torch.autograd.grad((weights * upstream).sum(), scores)
    noisy = (scores.detach() - drawn.log())[:, :, mask[0]]  # g = -log of an exponential number
    torch.testing.assert_close(weights[:, :, mask[0]].argmax(-1), noisy.argmax(-1))
    soft = torch.softmax(noisy / temperature, dim=-1)
    given = upstream[mask[0]]
    expected = soft * (given - (soft * given).sum(-1, keepdim=True)) / temperature
    torch.testing.assert_close(found[:, :, mask[0]], expected)
    assert (found[:, :, ~mask[0]] == 0).all()


def expected_alignment(stop: Tensor) -> Tensor:
    """Raffel 2017, eq. 8-9, written as it stands: ``[T S]`` of stopping chances to weights."""
    before = [1.0] + [0.0] * (stop.shape[1] - 1)
    rows = []
    for chances in stop.tolist():
        going, row = 0.0, []
        for position, chance in enumerate(chances):
            going = going * (1 - (chances[position - 1] if position else 0.0)) + before[position]
            row.append(chance * going)
        before = row
        rows.append(row)
    return torch.tensor(rows)


@pytest.mark.parametrize("length", [1, 2, 9, 60])
def test_monotonic_agrees_with_its_recurrence(length: int) -> None:
    alignment = MonotonicAlignment(QUERY, noise=0.0, stop_at_end=False).train()
    torch.manual_seed(5)
    scores = 3 * torch.randn(1, 7, length)
    mask = torch.ones(1, length, dtype=torch.bool)
    found = in_turn(alignment, scores, mask)
    expected = expected_alignment(torch.sigmoid(scores[0] + alignment.offset))
    torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-6)


def test_monotonic_advances_in_translation() -> None:
    alignment = MonotonicAlignment(QUERY, initial_offset=0.0).eval()
    scores = torch.tensor(
        [[[-1.0, 1, 1, 1, 9], [-1, -1, 1, 1, 9], [9, 9, -1, -1, 9], [9, 9, 9, 9, 9]]]
    )
    mask = torch.tensor([[True, True, True, True, False]])
    weights = in_turn(alignment, scores, mask)
    expected = [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 0]]
    assert weights[0].tolist() == expected


def test_monotonic_may_run_out_of_the_sentence() -> None:
    """As in the paper: where it stops nowhere, it sees nothing, then and ever after."""
    alignment = MonotonicAlignment(QUERY, initial_offset=0.0, stop_at_end=False).eval()
    weights = in_turn(alignment, torch.tensor([[[-1.0] * 5, [1.0] * 5]]), ALL)
    assert (weights == 0).all()


def test_monotonic_weights_sum_to_one_with_stop_at_end() -> None:
    alignment = MonotonicAlignment(QUERY).train()
    torch.manual_seed(6)
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    weights = in_turn(alignment, torch.randn(2, 4, 5), mask)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4))


def test_monotonic_adds_its_offset_in_translation() -> None:
    scores = torch.tensor([[[0.5, 1.5, 0.5, 0.5, 0.5]]])
    for offset, stop in ((0.0, 0), (-1.0, 1), (-2.0, 4)):
        alignment = MonotonicAlignment(QUERY, initial_offset=offset).eval()
        assert in_turn(alignment, scores, ALL).argmax().item() == stop


def test_monotonic_noise_is_drawn_for_each_position_and_sentence() -> None:
    alignment = MonotonicAlignment(QUERY, initial_offset=0.0, noise=0.5, stop_at_end=False).train()
    torch.manual_seed(1)
    weights = in_turn(alignment, torch.zeros(4000, 1, 2), torch.ones(4000, 2, dtype=torch.bool))
    first = weights[:, 0, 0]
    second = weights[:, 0, 1] / (1 - first)
    noise = torch.stack([first.logit(), second.logit()])
    assert noise.mean(1).tolist() == pytest.approx([0.0, 0.0], abs=0.03)
    assert noise.std(1).tolist() == pytest.approx([0.5, 0.5], abs=0.03)
    assert abs(torch.corrcoef(noise)[0, 1].item()) < 0.06


@pytest.mark.parametrize("alpha", [1.2, 1.5, 1.8, 2.0, 3.0])
def test_an_entmax_alignment_has_its_order(alpha: float) -> None:
    torch.manual_seed(1)
    scores = torch.randn(1, 4, 5, dtype=torch.double)
    found = align(EntmaxAlignment(QUERY, alpha=alpha), scores).weights
    torch.testing.assert_close(found, published.entmax_bisect(scores, alpha=alpha))
