"""Each score against its formula, by hand or written plainly."""

import math

import pytest
import torch
from torch import Tensor

from nmt.core.errors import ConfigError
from nmt.nn.attention.alignments.table import ALIGNMENTS
from nmt.nn.attention.attention import Attention
from nmt.nn.attention.scores.additive import AdditiveScore, AdditiveTape, ConcatScore
from nmt.nn.attention.scores.content_free import LocationScore, UniformScore
from nmt.nn.attention.scores.coverage import (
    CoverageScore,
    FertilityCoverageScore,
    GRUCoverageScore,
    LocationAwareScore,
)
from nmt.nn.attention.scores.multiplicative import (
    CosineScore,
    DotScore,
    GeneralScore,
    ScaledDotScore,
)
from nmt.nn.attention.scores.score import Score
from nmt.nn.attention.scores.table import SCORES

QUERY, VALUE, HIDDEN = 3, 4, 5


def given(steps: int = 4, positions: int = 6) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(1, steps, QUERY), torch.randn(1, positions, VALUE)


def attend(score: Score, query: Tensor, values: Tensor) -> Tensor:
    """The weights of softmax over all steps, `[T S]`."""
    attention = Attention(score, ALIGNMENTS["softmax"](QUERY))
    mask = torch.ones(values.shape[:2], dtype=torch.bool)
    weights: Tensor = attention(query, attention.prepare(values, mask)).weights[0]
    return weights


def test_dot_by_hand() -> None:
    score = DotScore(2, 2)
    values = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    query = torch.tensor([[[10.0, 1.0]]])
    assert score(query, score.keys(values)).tolist() == [[[12.0, 34.0]]]
    scaled = ScaledDotScore(2, 2)
    found = scaled(query, scaled.keys(values))
    torch.testing.assert_close(found, torch.tensor([[[12.0, 34.0]]]) / math.sqrt(2))


@pytest.mark.parametrize("score", [DotScore, ScaledDotScore])
def test_dot_products_have_no_parameters_and_need_one_size(score: type[DotScore]) -> None:
    assert list(score(3, 3).parameters()) == []
    with pytest.raises(AssertionError):
        score(3, 5)


def test_general_by_hand() -> None:
    score = GeneralScore(2, 3)
    with torch.no_grad():
        (weight,) = score.parameters()
        weight.copy_(torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]))
    values = torch.tensor([[[1.0, 2.0, 3.0]]])
    query = torch.tensor([[[10.0, 1.0]]])
    # W is the weight over the root of 2: W h = (7, 2) / sqrt(2)
    assert score(query, score.keys(values)).item() == pytest.approx(72.0 / math.sqrt(2))


def test_cosine_by_hand() -> None:
    score = CosineScore(2, 2, initial_gain=3.0)
    with torch.no_grad():
        score.key_projection.weight.copy_(torch.eye(2))
    values = torch.tensor([[[0.0, 7.0], [5.0, 5.0], [0.0, 0.0]]])
    found = score(torch.tensor([[[0.0, 0.1]]]), score.keys(values))
    torch.testing.assert_close(found, torch.tensor([[[3.0, 3.0 / math.sqrt(2), 0.0]]]))


def test_products_are_those_of_each_step_and_each_position() -> None:
    """Of several steps, positions and unequal sizes, against one pair of vectors at a time."""
    query, values = given()
    general, cosine = GeneralScore(QUERY, VALUE), CosineScore(QUERY, VALUE)
    same, scaled = DotScore(QUERY, QUERY), ScaledDotScore(QUERY, QUERY)
    found = {score: score(query, score.keys(values))[0] for score in (general, cosine)}
    found |= {score: score(query, score.keys(values[..., :QUERY]))[0] for score in (same, scaled)}
    for t, q in enumerate(query[0]):
        for s, h in enumerate(values[0]):
            projected = general.key_projection.weight @ h / math.sqrt(QUERY)
            expected = {general: q @ projected, same: q @ h[:QUERY]}
            expected[scaled] = q @ h[:QUERY] / math.sqrt(QUERY)
            turned = cosine.key_projection.weight @ h
            expected[cosine] = 10.0 * (q @ turned) / (q.norm() * turned.norm())
            for score, value in expected.items():
                torch.testing.assert_close(found[score][t, s], value)


def test_additive_by_hand() -> None:
    score = AdditiveScore(1, 1, hidden_size=2)
    with torch.no_grad():
        score.query_projection.weight.copy_(torch.tensor([[1.0], [0.0]]))
        score.key_projection.weight.copy_(torch.tensor([[0.5], [1.0]]))
        score.key_projection.bias.copy_(torch.tensor([0.0, 0.25]))
        score.direction.weight.copy_(torch.tensor([[2.0, -1.0]]))
    found = score(torch.tensor([[[0.3]]]), score.keys(torch.tensor([[[0.8]]])))
    expected = 2 * math.tanh(0.3 + 0.4) - math.tanh(0.8 + 0.25)
    assert found.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("block", [1, 2**6, 2**17])
def test_additive_in_blocks_equals_tanh(
    normalize: bool, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.nn.attention.scores.additive._BLOCK", block)
    score = AdditiveScore(QUERY, VALUE, hidden_size=HIDDEN, normalize=normalize)
    query, inputs = 3.0 * torch.randn(7, 1, QUERY), 3.0 * torch.randn(7, 4, VALUE)
    query[0], inputs[1] = 100.0, -100.0  # saturated
    expected = score(query, score.keys(inputs))
    assert expected.requires_grad
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            keys = score.keys(inputs)
            before = keys.clone()
            torch.testing.assert_close(score(query, keys), expected, rtol=0.0, atol=2e-6)
            assert (keys == before).all()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        keys = score.keys(inputs)
        assert keys.dtype == torch.float32, "bfloat16 would lose half of the digits"
        found = score(query, keys)
    torch.testing.assert_close(found, expected.detach(), rtol=0.0, atol=0.1)


def test_additive_hidden_size_defaults_to_the_query_size() -> None:
    assert AdditiveScore(QUERY, VALUE).direction.in_features == QUERY
    assert AdditiveScore(QUERY, VALUE, hidden_size=9).direction.in_features == 9


def test_the_normalized_direction_has_the_length_of_the_gain() -> None:
    score = AdditiveScore(QUERY, VALUE, hidden_size=16, normalize=True)
    assert score.vector().norm().item() == pytest.approx(0.25)
    with torch.no_grad():
        score.direction.weight *= 100
    assert score.vector().norm().item() == pytest.approx(0.25)
    query, values = given()
    plain = AdditiveScore(QUERY, VALUE, hidden_size=16)
    plain.load_state_dict(score.state_dict(), strict=False)
    with torch.no_grad():
        plain.direction.weight.copy_(score.vector().unsqueeze(0))
    found, expected = (each(query, each.keys(values)) for each in (score, plain))
    torch.testing.assert_close(found, expected)


def test_concat_is_one_matrix_over_both() -> None:
    score = ConcatScore(QUERY, VALUE, hidden_size=HIDDEN)
    query, values = given()
    joint = torch.cat([score.query_projection.weight, score.key_projection.weight], dim=1)
    both = torch.cat(
        [query[0, :, None].expand(-1, 6, -1), values[0, None].expand(4, -1, -1)], dim=-1
    )
    expected = torch.tanh(both @ joint.t()) @ score.direction.weight[0]
    torch.testing.assert_close(score(query, score.keys(values))[0], expected)
    assert score.key_projection.bias is None


def test_subclass_with_other_scores_does_not_use_the_fast_path() -> None:
    class Doubled(AdditiveScore):
        def forward(self, query: Tensor, keys: Tensor, state: Tensor | None = None) -> Tensor:
            return 2 * super().forward(query, keys)

    class Compared(AdditiveScore):
        def compare(self, summed: Tensor) -> Tensor:
            return -super().compare(summed)

    class Renamed(AdditiveScore):
        pass

    assert Compared.fast_path is None
    assert Doubled.fast_path is None
    assert Renamed.fast_path is AdditiveTape


def test_uniform_reads_the_mean() -> None:
    query, values = given()
    torch.testing.assert_close(
        attend(UniformScore(QUERY, VALUE), query, values), torch.full((4, 6), 1 / 6)
    )


def test_location_score_ignores_the_source_and_has_a_maximum_length() -> None:
    score = LocationScore(QUERY, VALUE, max_positions=4)
    query, values = given()
    found = score(query, score.keys(values))
    torch.testing.assert_close(found[..., :4], score.projection(query))
    assert (attend(score, query, values)[:, 4:] == 0).all()
    torch.testing.assert_close(score(query, score.keys(values + 1.0)), found)
    torch.testing.assert_close(score(query, score.keys(values[:, :2])), found[..., :2])


@pytest.mark.parametrize("width", [1, 3, 5])
def test_location_aware_is_its_recurrence(width: int) -> None:
    """A convolution by hand over the weights of the step before."""
    score = LocationAwareScore(QUERY, VALUE, hidden_size=HIDDEN, num_filters=2, width=width)
    query, values = given()
    filters = score.filters.weight[:, 0]
    before, expected = torch.zeros(6), []
    for asked in query[0]:
        beyond = torch.zeros(width // 2)
        padded = torch.cat([beyond, before, beyond])
        features = torch.stack([filters @ padded[s : s + width] for s in range(6)])
        summed = (
            score.query_projection(asked)
            + score.key_projection(values[0])
            + score.feature_projection(features)
        )
        before = torch.softmax(torch.tanh(summed) @ score.direction.weight[0], dim=0)
        expected.append(before)
    torch.testing.assert_close(attend(score, query, values), torch.stack(expected))


def test_an_even_width_is_refused() -> None:
    with pytest.raises(ConfigError) as raised:
        LocationAwareScore(QUERY, VALUE, width=4)
    assert str(raised.value) == (
        "model.attention.score.width: must be odd, not 4; the nearest is 5"
    )


@pytest.mark.parametrize("fertile", [False, True])
def test_coverage_is_its_recurrence(fertile: bool) -> None:
    score = (
        FertilityCoverageScore(QUERY, VALUE, hidden_size=HIDDEN, max_fertility=0.5)
        if fertile
        else CoverageScore(QUERY, VALUE, hidden_size=HIDDEN)
    )
    query, values = given()
    fertility = torch.ones(6)
    if isinstance(score, FertilityCoverageScore):
        fertility = 0.5 * torch.sigmoid(score.fertility(values[0]).squeeze(-1))
    covered, expected = torch.zeros(6), []
    for asked in query[0]:
        summed = (
            score.query_projection(asked)
            + score.key_projection(values[0])
            + score.coverage_projection(covered[:, None])
        )
        weights = torch.softmax(torch.tanh(summed) @ score.direction.weight[0], dim=0)
        covered = covered + weights / fertility
        expected.append(weights)
    torch.testing.assert_close(attend(score, query, values), torch.stack(expected))


def test_gru_coverage_is_a_gru_at_each_position() -> None:
    """Against torch's own cell, fed with the weight, the value and the query."""
    score = GRUCoverageScore(QUERY, VALUE, hidden_size=HIDDEN, coverage_size=2)
    query, values = given()
    library = torch.nn.GRUCell(1 + VALUE + QUERY, 2)
    with torch.no_grad():
        parts = (score.weight_to_gates, score.key_to_gates, score.query_to_gates)
        library.weight_ih.copy_(torch.cat([part.weight for part in parts], dim=1))
        library.bias_ih.copy_(score.key_to_gates.bias)
        library.weight_hh.copy_(score.hidden_to_gates.weight)
        library.bias_hh.copy_(score.hidden_to_gates.bias)
    covered, expected = torch.zeros(6, 2), []
    for asked in query[0]:
        summed = (
            score.query_projection(asked)
            + score.key_projection(values[0])
            + score.coverage_projection(covered)
        )
        weights = torch.softmax(torch.tanh(summed) @ score.direction.weight[0], dim=0)
        inputs = torch.cat([weights[:, None], values[0], asked.expand(6, -1)], dim=1)
        covered = library(inputs, covered)
        expected.append(weights)
    torch.testing.assert_close(attend(score, query, values), torch.stack(expected))


ADDITIVE = {"query_projection.weight", "key_projection.weight", "direction.weight"}
BIASED = ADDITIVE | {"key_projection.bias"}
COVERED = BIASED | {"coverage_projection.weight"}
PARAMETERS = {
    "additive": BIASED,
    "concat": ADDITIVE,
    "dot": set(),
    "scaled_dot": set(),
    "general": {"key_projection.weight"},
    "cosine": {"key_projection.weight", "gain"},
    "location": {"projection.weight"},
    "location_aware": BIASED | {"filters.weight", "feature_projection.weight"},
    "coverage": COVERED,
    "coverage_fertility": COVERED | {"fertility.weight"},
    "coverage_gru": COVERED
    | {f"{part}_to_gates.weight" for part in ("key", "query", "weight", "hidden")}
    | {"key_to_gates.bias", "hidden_to_gates.bias"},
    "uniform": set(),
}


@pytest.mark.parametrize("name", SCORES)
def test_a_run_keeps_its_weights_under_these_names(name: str) -> None:
    """Runs that were trained before have them, and must still load."""
    assert set(SCORES[name](QUERY, QUERY).state_dict()) == PARAMETERS[name]


@pytest.mark.parametrize("kind", [CoverageScore, FertilityCoverageScore])
def test_coverage_is_added_up_in_float32(kind: type[CoverageScore]) -> None:
    score = kind(QUERY, VALUE).bfloat16()
    keys = score.keys(torch.zeros(1, 2, VALUE).bfloat16())
    covered = score.start(keys, torch.ones(1, 2, dtype=torch.bool))
    query, weights = torch.zeros(1, 1, QUERY).bfloat16(), torch.tensor([[[1.0, 0.0]]]).bfloat16()
    for _ in range(300):  # bfloat16 ends at 256; a fertility of two times one half is one
        covered = score.update(query, keys, covered, weights)
    assert covered.tolist() == [[300.0, 0.0]]
