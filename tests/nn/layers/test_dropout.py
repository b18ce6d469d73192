import pytest
import torch

from nmt.nn.layers.dropout import Dropout


def test_dropout_is_the_identity_in_evaluation() -> None:
    inputs = torch.randn(3, 4)
    assert Dropout(0.5).eval()(inputs) is inputs


def test_dropout_is_the_identity_at_probability_zero() -> None:
    inputs = torch.randn(3, 4)
    assert Dropout(0.0)(inputs) is inputs


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_keeps_the_mean(probability: float) -> None:
    torch.manual_seed(1)
    outputs = Dropout(probability)(torch.ones(1000, 1000))
    # A million coin flips: the share strays by less than five standard deviations.
    tolerance = 5 * (probability * (1 - probability) / 1e6) ** 0.5
    assert (outputs == 0).float().mean().item() == pytest.approx(probability, abs=tolerance)
    kept = outputs[outputs != 0]
    scaled = torch.full_like(kept, 1 / (1 - probability))
    torch.testing.assert_close(kept, scaled, rtol=1e-4, atol=0)


def test_nearly_all_may_be_dropped() -> None:
    assert Dropout(1 - 1e-9).train()(torch.ones(1000)).isfinite().all()


def test_neighbours_are_independent() -> None:
    """Four elements share one draw of 64 bits; none of them may tell of another."""
    torch.manual_seed(1)
    lanes = (Dropout(0.5)(torch.ones(400_000)) != 0).float().view(-1, 4)
    correlation = torch.corrcoef(lanes.t())
    assert (correlation - torch.eye(4)).abs().max().item() < 0.02
    assert (lanes.mean(0) - 0.5).abs().max().item() < 0.01


def test_each_sentence_and_each_step_has_a_mask_of_its_own() -> None:
    torch.manual_seed(1)
    for dropped in (Dropout(0.5)(torch.ones(2, 3, 64)), Dropout(0.5).mask(torch.ones(2, 3, 64))):
        assert dropped is not None
        masks = (dropped != 0).flatten(0, 1)
        differ = (masks.unsqueeze(0) != masks.unsqueeze(1)).float().mean(-1)
        others = differ[~torch.eye(6, dtype=torch.bool)]
        assert others.min() > 0.2 and others.max() < 0.8, "half of the numbers, if by chance"


def test_the_gradient_has_the_same_mask() -> None:
    inputs = torch.ones(100, requires_grad=True)
    outputs = Dropout(0.5)(inputs)
    outputs.sum().backward()
    assert inputs.grad is not None
    torch.testing.assert_close(inputs.grad, outputs.detach())


def test_dropout_of_a_size_not_divisible_by_four() -> None:
    assert Dropout(0.5)(torch.ones(3, 7)).shape == (3, 7)


def test_a_seed_gives_the_same_mask() -> None:
    torch.manual_seed(7)
    first = Dropout(0.5)(torch.ones(50))
    torch.manual_seed(7)
    assert torch.equal(first, Dropout(0.5)(torch.ones(50)))
