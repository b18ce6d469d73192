import base64
import math

import numpy as np
import pytest

from nmt.visualization.attention_view import (
    AttentionView,
    Matrix,
    coverage_error,
    mean_entropy,
    pack_weights,
    short,
)


def unpacked(text: str) -> list[int]:
    return np.frombuffer(base64.b64decode(text), "<u2").tolist()


def test_packed_weights_are_16_bit_integers():
    assert unpacked(pack_weights(np.array([[0.0, 1.0], [0.5, 0.25]]))) == [0, 65535, 32768, 16384]


def test_only_a_weight_of_exactly_zero_is_packed_as_zero():
    assert unpacked(pack_weights(np.array([[0.0, 1e-12, 1e-6, 1.0001]]))) == [0, 1, 1, 65535]


def test_weights_are_precise_to_a_half_step():
    weights = np.random.default_rng(1).uniform(1e-4, 1.0, (20, 30))
    read = np.array(unpacked(pack_weights(weights))).reshape(20, 30) / 65535
    assert np.abs(read - weights).max() <= 0.5001 / 65535


def test_not_a_number_is_packed_as_zero_and_reported():
    weights = np.array([[math.nan, 1.0]])
    view = AttentionView(1, Matrix(("a", "b"), ("x",), weights)).to_json()
    assert unpacked(view["words"]["weights"]) == [0, 65535]
    assert view["omitted"] == "the model computes NaN"
    assert view["entropy"] is None


def test_entropy_by_hand():
    assert mean_entropy(np.array([[0.5, 0.5], [1.0, 0.0]])) == pytest.approx(math.log(2) / 2)
    assert mean_entropy(np.array([[0.2, 0.2]])) == pytest.approx(math.log(2))  # divided by its sum
    assert mean_entropy(np.array([[0.0, 0.0]])) == 0.0
    assert mean_entropy(np.zeros((0, 3))) == 0.0


def test_coverage_by_hand():
    assert coverage_error(np.array([[1.0, 0.0], [0.0, 1.0]])) == 0.0
    assert coverage_error(np.array([[1.0, 0.0], [1.0, 0.0]])) == 1.0  # sums 2 and 0
    assert coverage_error(np.zeros((2, 0))) == 0.0


def test_entropy_is_that_of_pieces_without_the_row_of_eos():
    words = Matrix(("a",), ("x",), np.array([[0.5]]))
    pieces = Matrix(("a", "</s>"), ("x", "</s>"), np.array([[0.5, 0.5], [0.0, 1.0]]))
    view = AttentionView(1, words, pieces).to_json()
    assert view["entropy"] == pytest.approx(math.log(2), abs=1e-5)
    assert AttentionView(1, words).to_json()["entropy"] == 0.0


def test_json_has_all_fields():
    heads = np.array([[[0.25, 0.75]], [[0.75, 0.25]]])
    words = Matrix(("a", "b"), ("x",), heads.mean(0), heads)
    sure = frozenset({(1, 0)})
    view = AttentionView(
        3,
        words,
        links=frozenset({(0, 0)}),
        head_links=(frozenset({(1, 0)}), frozenset({(0, 0)})),
        score=-0.5,
        log_probability=-math.inf,
        gold=(sure, sure | {(0, 0)}),
        error_rates=(0.5, 0.0, 0.5),
        grid=np.zeros((1, 2, 3), np.uint8),
        languages=("en", None),
    ).to_json()
    assert view["v"] == 1 and view["line"] == 3
    assert view["text"] == ("a b", "x") and view["languages"] == ("en", None)
    assert view["score"] == -0.5 and view["log_probability"] is None  # JSON has no infinity
    assert view["links"] == [(0, 0)]
    assert view["gold"] == {"sure": [(1, 0)], "possible": [(0, 0), (1, 0)]}
    assert view["aer"] == 0.5 and view["coverage"] == [0.5, 0.5]
    assert [head["aer"] for head in view["by_head"]] == [0.0, 0.5]
    assert [head["links"] for head in view["by_head"]] == [[(1, 0)], [(0, 0)]]
    assert view["grid"] == {"rows": 1, "columns": 2, "rgb": base64.b64encode(bytes(6)).decode()}
    assert len(view["words"]["heads"]) == 2 and view["omitted"] is None


def test_a_long_sentence_is_shown_without_weights():
    words = Matrix(("a",) * 301, ("x",), np.zeros((1, 301)))
    view = AttentionView(1, words, words).to_json()
    assert view["omitted"] == "too long: 301 x 1 words"
    assert "weights" not in view["words"] and view["pieces"] is None
    shorter = Matrix(("a",) * 300, ("x",), np.zeros((1, 300)))
    assert AttentionView(1, shorter, words).to_json()["pieces"] is None


def test_a_run_without_attention_has_only_texts():
    view = AttentionView(1, None, text=("a", "x")).to_json()
    assert view["omitted"] == "the model has no attention" and "words" not in view


def test_a_number_is_short_and_never_a_negative_zero():
    assert short(-1.23456789) == -1.23457
    assert (short(None), short(math.nan), short(-math.inf)) == (None, None, None)
    assert str(short(-0.0)) == "0.0"
