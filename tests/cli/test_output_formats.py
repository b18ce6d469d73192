"""What is written of a translation, in each format."""

import json
from io import StringIO

import numpy as np
import pytest

from nmt.cli.output_formats import Format, TranslationWriter
from nmt.inference.forced_decoding import SentenceAlignment
from nmt.inference.translator import Translation
from nmt.search.hypothesis import Hypothesis

BEST = Hypothesis((5, 6), log_probability=-3.0, score=-1.0)
SECOND = Hypothesis((7,), log_probability=-5.0, score=-2.5)
ALIGNMENT = SentenceAlignment(
    ("one", "two"), ("a", "b"), np.array([[0.25, 0.75], [0.5, 0.5]]), frozenset({(1, 0), (0, 1)})
)
TRANSLATION = Translation(
    ("a b", "c"),
    (BEST, SECOND),
    alignment=ALIGNMENT,
    token_log_probabilities=((-1.0, -1.5, -0.5), (-2.0, -3.0)),
)


def written(how: Format) -> str:
    output = StringIO()
    writer = TranslationWriter(output, how, lambda ids: [f"t{token}" for token in ids], num_lines=4)
    writer.write([("one two", TRANSLATION)])
    assert writer.num_lines == 5
    return output.getvalue()


@pytest.mark.parametrize(
    ("with_scores", "n_best", "expected"),
    [
        (False, False, "a b\n"),
        (True, False, "-1.000000\t-3.000000\ta b\n"),
        (False, True, "4 ||| a b ||| -1.000000\n4 ||| c ||| -2.500000\n"),
        (
            True,
            True,
            "4 ||| a b ||| -1.000000 ||| -3.000000\n4 ||| c ||| -2.500000 ||| -5.000000\n",
        ),
    ],
)
def test_text_has_the_score_and_then_the_log_probability(
    with_scores: bool, n_best: bool, expected: str
) -> None:
    assert written(Format(with_scores, n_best, json=False)) == expected


def test_json_counts_lines_from_one_and_begins_with_the_best() -> None:
    best = {
        "translation": "a b",
        "score": -1.0,
        "log_probability": -3.0,
        "tokens": ["t5", "t6"],
        "token_log_probabilities": [-1.0, -1.5, -0.5],
    }
    second = {
        "translation": "c",
        "score": -2.5,
        "log_probability": -5.0,
        "tokens": ["t7"],
        "token_log_probabilities": [-2.0, -3.0],
    }
    assert json.loads(written(Format(False, False, json=True))) == {
        "line": 5,
        "source": "one two",
        **best,
        "hypotheses": [best, second],
        "alignment": {
            "source": ["one", "two"],
            "target": ["a", "b"],
            "units": "words",
            "pairs": "0-1 1-0",
            "weights": [[0.25, 0.75], [0.5, 0.5]],
        },
    }
