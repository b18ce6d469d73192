import pytest
import torch
from torch import Tensor

from nmt.core.special_tokens import PAD
from nmt.nn.layers import (
    Dropout,
    WeightGradient,
    WordEmbedding,
    addmm,
    addmm_,
    cast_for_autocast,
    matmul,
    weight_gradient,
)


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


def test_dropout_may_be_close_to_one() -> None:
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


def test_padding_is_the_zero_vector() -> None:
    embedding = WordEmbedding(10, 4)
    assert embedding(torch.tensor([[5, PAD]]))[0, 1].tolist() == [0.0] * 4


def test_vectors_start_with_a_length_of_about_one() -> None:
    torch.manual_seed(1)
    lengths = WordEmbedding(1000, 64).table.weight[1:].norm(dim=1)
    assert lengths.mean().item() == pytest.approx(1.0, abs=0.05)


def test_dropout_is_on_the_numbers_and_scales_up_what_is_left() -> None:
    torch.manual_seed(1)
    embedding = WordEmbedding(10, 4, dropout=0.25)
    vectors = embedding(torch.full((100, 100), 5))
    kept = vectors != 0
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.02)
    whole = (embedding.table.weight[5] / 0.75).expand_as(vectors)
    torch.testing.assert_close(vectors[kept], whole[kept], rtol=1e-4, atol=0)
    assert not torch.equal(embedding.eval()(torch.tensor([[5]])), torch.zeros(1, 1, 4))


def test_word_dropout_only_zeroes_whole_words_in_training() -> None:
    torch.manual_seed(1)
    embedding = WordEmbedding(10, 4, word_dropout=0.3)
    tokens = torch.full((100, 100), 5)
    blank = (embedding(tokens) == 0).all(-1)
    assert blank.float().mean().item() == pytest.approx(0.3, abs=0.03)
    torch.testing.assert_close(embedding(tokens)[~blank][0], embedding.table.weight[5])
    assert not (embedding.eval()(tokens) == 0).any()


# Matrix products are what those of torch are, whichever library makes them.

KINDS = [torch.float32, torch.float64, torch.bfloat16]
LAYOUTS = ["as it is", "transposed", "every other column"]


def laid_out(matrix: Tensor, layout: str) -> Tensor:
    """The same numbers, strided otherwise."""
    if layout == "transposed":
        return matrix.t().contiguous().t()
    if layout == "every other column":
        return matrix.repeat_interleave(2, dim=1)[:, ::2]
    return matrix


def whole(*shape: int, kind: torch.dtype) -> Tensor:
    """Whole numbers, whose products no order of adding changes."""
    return torch.randint(-3, 4, shape).to(kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("left_layout", LAYOUTS)
@pytest.mark.parametrize("right_layout", LAYOUTS)
def test_matmul_and_addmm_equal_exact_products(
    kind: torch.dtype, left_layout: str, right_layout: str
) -> None:
    left = laid_out(whole(5, 7, kind=kind), left_layout)
    right = laid_out(whole(7, 6, kind=kind), right_layout)
    row, base = whole(6, kind=kind), laid_out(whole(5, 6, kind=kind), left_layout)
    kept = base.clone()
    exact = (left.double() @ right.double()).to(kind)
    torch.testing.assert_close(matmul(left, right), exact, rtol=0.0, atol=0.0)
    torch.testing.assert_close(addmm(row, left, right), exact + row, rtol=0.0, atol=0.0)
    torch.testing.assert_close(addmm(base, left, right), exact + base, rtol=0.0, atol=0.0)
    assert torch.equal(base, kept)
    addmm_(base, left, right)
    torch.testing.assert_close(base, exact + kept, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_a_weight_is_that_of_autograd(kind: torch.dtype) -> None:
    inputs, gradients = whole(3, 4, 9, kind=kind)[..., :7], whole(3, 4, 6, kind=kind)
    weight = torch.zeros(6, 7, dtype=kind, requires_grad=True)
    (expected,) = torch.autograd.grad(inputs @ weight.t(), weight, gradients)
    found = weight_gradient(gradients, inputs)
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.0)
    assert found.is_contiguous()


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_added_to_many_rows(kind: torch.dtype) -> None:
    left, right, row = (whole(*shape, kind=kind) for shape in ((300, 7), (7, 6), (6,)))
    exact = left.double() @ right.double() + row.double()
    torch.testing.assert_close(addmm(row, left, right), exact.to(kind), rtol=0.0, atol=0.0)


def test_float32_is_not_rounded_to_less() -> None:
    torch.manual_seed(1)
    left, right = torch.randn(64, 300), torch.randn(300, 40)
    exact = left.double() @ right.double()
    torch.testing.assert_close(matmul(left, right).double(), exact, rtol=0.0, atol=1e-4)


def test_parts_of_a_gradient_in_bfloat16_are_added_up_in_float32() -> None:
    total = WeightGradient(torch.zeros(2, 3, dtype=torch.bfloat16))
    for _ in range(300):  # bfloat16 ends at 256, to which 1 can no longer be added
        total.add(torch.ones(1, 2).bfloat16(), torch.ones(1, 3).bfloat16())
    assert total.total().tolist() == [[300.0] * 3] * 2


def test_only_float32_is_cast_for_autocast() -> None:
    single, double = torch.ones(2), torch.ones(2, dtype=torch.double)
    assert cast_for_autocast(single) is single
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert cast_for_autocast(single).dtype == torch.bfloat16
        assert cast_for_autocast(double) is double
