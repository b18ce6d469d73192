import numpy as np
import pytest

from nmt.data.formats.grids import Grid
from nmt.inference.forced_decoding import SentenceAlignment, TokenAttention
from nmt.inference.translation import Translation
from nmt.inference.views import view_of_alignment, view_of_translation
from nmt.search.hypothesis import Hypothesis
from nmt.word_alignment.pharaoh import GoldAlignment

WEIGHTS = np.array([[0.6, 0.3], [0.1, 0.9]])
TOKENS = TokenAttention(("a", "b", "</s>"), ("x", "y", "</s>"), np.eye(3, dtype=np.float32))
ALIGNMENT = SentenceAlignment(
    ("a", "b"), ("x", "y"), WEIGHTS, frozenset({(0, 0), (1, 1)}), tokens=TOKENS
)


def test_a_view_has_words_and_pieces():
    view = view_of_alignment(ALIGNMENT, 7, pair=("a  b", "x y"), languages=("en", "de"))
    assert (view.line, view.text, view.languages) == (7, ("a  b", "x y"), ("en", "de"))
    assert view.words is not None and view.words.weights is WEIGHTS
    assert view.pieces is not None and view.pieces.source == ("a", "b", "</s>")
    assert view.score is None and view.error_rates == ()


def test_pieces_that_are_the_units_are_not_shown_twice():
    alignment = SentenceAlignment(
        ("a",), ("x",), np.ones((1, 1)), frozenset(), "pieces", (), TOKENS
    )
    assert view_of_alignment(alignment).pieces is None


def test_the_score_of_a_pair_is_the_mean_log_probability():
    alignment = SentenceAlignment(
        ("a",), ("x",), np.ones((1, 1)), frozenset(), token_log_probabilities=(-1.0, -3.0)
    )
    view = view_of_alignment(alignment)
    assert (view.score, view.log_probability) == (-2.0, -4.0)


def test_each_head_has_its_links_and_its_error_rate():
    heads = (np.eye(2), np.eye(2)[::-1])
    alignment = SentenceAlignment(("a", "b"), ("x", "y"), WEIGHTS, ALIGNMENT.links, heads=heads)
    sure = frozenset({(0, 0), (1, 1)})
    view = view_of_alignment(alignment, gold=GoldAlignment(sure, sure | {(0, 1)}))
    assert view.head_links == ({(0, 0), (1, 1)}, {(1, 0), (0, 1)})
    assert view.error_rates == pytest.approx((0.0, 0.0, 0.75))  # 1 - (0 + 1) / 4
    assert view.gold == (sure, sure | {(0, 1)})


def test_a_grid_is_shown_in_its_colours():
    values = np.zeros((1, 2, 3), np.float32)
    values[0, 1] = [1.0, 0.5, 0.0]
    alignment = SentenceAlignment(("1,1", "1,2"), ("x",), np.array([[0.4, 0.6]]), frozenset())
    view = view_of_alignment(alignment, pair=(Grid(values, "grid"), "x"))
    assert view.grid is not None
    assert view.grid.tolist() == [[[0, 0, 0], [255, 128, 0]]]
    assert view.text == ("", "x")


def test_a_translation_without_attention_shows_its_text():
    translation = Translation(("x y",), (Hypothesis((4, 5), -2.0, -1.0),))
    view = view_of_translation(translation, 3, "a b")
    assert view.to_json()["omitted"] == "the model has no attention"
    assert view.text == ("a b", "x y")
    assert (view.score, view.log_probability) == (-1.0, -2.0)


def test_a_notebook_shows_the_attention_in_a_sandbox():
    translation = Translation(("x y",), (Hypothesis((4, 5), -2.0, -1.0),), ALIGNMENT)
    for html in (translation._repr_html_(), ALIGNMENT._repr_html_()):
        assert html.startswith('<iframe srcdoc="&lt;!doctype html&gt;')
        assert 'sandbox="allow-scripts"' in html
        assert html.count("<") == 2  # everything in the frame is escaped


def test_a_notebook_shows_texts_if_there_is_no_alignment():
    hypotheses = (Hypothesis((4,), -2.0, -1.0), Hypothesis((5,), -3.0, -1.5))
    html = Translation(("<b>x</b>", "y"), hypotheses)._repr_html_()
    assert "&lt;b&gt;x&lt;/b&gt; <small>(-1.00)</small>" in html
    assert "with_alignments=True" in html
