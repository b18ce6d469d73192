"""A trace as text: every number is there, and nothing moves the cursor."""

from typing import Any

import pytest

from nmt.visualization.trace_text import format_trace


def view(**changes: Any) -> dict[str, Any]:
    """The trace of one step, by hand."""
    step = {
        "previous": "<s>",
        "word": "Hund",
        "probability": 0.75,
        "likeliest": [
            {"word": "Hund", "probability": 0.75, "prefix": "Hund", "command": None},
            {"word": "Katze", "probability": 0.0002, "prefix": "Katze", "command": None},
        ],
        "entropy": 0.5,
        "attention_entropy": 0.25,
        "cells": [{"path": "decoder.cells.0", "norm": 2.0, "kept": 0.3}],
    }
    fields = ["id", "parent", "group", "step", "token", "token_log_probability"]
    fields += ["log_probability", "penalty", "reason", "rule", "score"]
    return {
        "text": ["a dog", "Hund"],
        "prefix": "",
        "source": ["a", "dog", "</s>"],
        "score": -0.25,
        "log_probability": -0.5,
        "lacks": [],
        "steps": [step],
        "arrays": {
            "decoder.attention.score.scores": {"shape": [1, 3], "rows": [[1.5, -2.0, 0.0]]},
            "decoder.attention.alignment.weights": {"shape": [1, 3], "rows": [[0.9, 0.0, 0.1]]},
            "decoder.attention.context": {"shape": [1, 12], "rows": [[0.5] * 8]},
        },
        "tree": {
            "places": 2,
            "fields": fields,
            "nodes": [
                [0, None, 0, 0, "Hund", -0.29, -0.29, 0.0, "kept", "", None],
                [1, None, 0, 0, "Katze", -8.5, -8.5, -1.5, "blocked n-gram", "Mine", None],
                [2, 0, 0, 1, "</s>", -0.21, -0.5, 0.0, "finished", "", -0.25],
            ],
            "stops": [[0, 1]],
            "stop_reason": "no open hypothesis can beat the best",
        },
        "parts": [
            {
                "kind": "score",
                "name": "DotScore",
                "formulas": ["q . h"],
                "source": "Luong 2015, eq. 8",
                "defined_by": "DotScore",
                "file": "nmt/nn/attention/scores/multiplicative.py",
                "line": 18,
            }
        ],
        **changes,
    }


def test_a_trace_by_hand() -> None:
    expected = """\
source    a dog
target    Hund
score     -0.250, log-probability -0.500

1  after "<s>": "Hund" 0.750
   state     decoder.cells.0: length 2.000, 30% of the state kept
                    a     dog    </s>
   scores       1.500  -2.000       0
   weights      0.900       0   0.100
             entropy of the weights 0.250 nats
   context     0.500   0.500   0.500   0.500   0.500   0.500   0.500   0.500  … 12 numbers
   next      Hund 0.750  Katze 2e-04   entropy 0.500 nats

beam of 2: the 4 likeliest continuations of each step
   log-probability of the token and of all tokens, reason, tokens
   step 1
       -0.290  -0.290  kept          Hund
       -8.500  -8.500  blocked n-gram (Mine)  Katze  penalty -1.500
   step 2; no open hypothesis can beat the best
       -0.210  -0.500  finished      Hund </s>  score -0.250

formulas
   score: DotScore (nmt/nn/attention/scores/multiplicative.py:18)
      q . h
      Luong 2015, eq. 8
"""
    assert format_trace(view()) == expected


def test_tokens_that_do_not_fit_side_by_side_are_written_in_blocks() -> None:
    row = [n / 40 for n in range(40)]
    arrays = {"decoder.attention.alignment.weights": {"shape": [1, 40], "rows": [row]}}
    lines = format_trace(view(source=[f"w{n}" for n in range(40)], arrays=arrays), width=60)
    shown = [line for line in lines.splitlines() if line.startswith("   weights")]
    assert len(shown) == 8
    assert all(len(line) <= 60 for line in shown)
    numbers = [float(one) for line in shown for one in line.split()[1:]]
    assert numbers == pytest.approx(row, abs=6e-4)


def test_each_head_has_its_row() -> None:
    arrays = {
        f"decoder.attention.heads.{head}.score.scores": {"shape": [1, 3], "rows": [[head] * 3]}
        for head in (0, 1)
    }
    text = format_trace(view(arrays=arrays))
    assert "scores 1         0       0       0" in text
    assert "scores 2     1.000   1.000   1.000" in text


HOSTILE = "\x1b[2J\x00\u202ee\nvil"


def test_no_text_moves_the_cursor() -> None:
    texts = view(text=[HOSTILE, HOSTILE], prefix=HOSTILE, source=[HOSTILE] * 3, lacks=[HOSTILE])
    texts["steps"][0] |= {"previous": HOSTILE, "word": HOSTILE}
    texts["steps"][0]["likeliest"][0]["word"] = HOSTILE
    texts["tree"]["nodes"][0][4] = HOSTILE
    text = format_trace(texts)
    assert not [one for one in text if one != "\n" and not one.isprintable()]
    assert "\N{REPLACEMENT CHARACTER}" in text
    assert "not in this trace: \\x1b[2J\\x00\\u202ee vil" in text


def test_what_is_missing_is_left_out() -> None:
    bare = view(steps=[], tree=None, parts=[], lacks=["the graph has no states; trace its run"])
    assert format_trace(bare) == (
        "source    a dog\ntarget    Hund\nscore     -0.250, log-probability -0.500\n\n"
        "not in this trace: the graph has no states; trace its run\n"
    )


def test_wide_characters_are_aligned() -> None:
    text = format_trace(view(source=["日本語の文章", "。", "</s>"]))
    header, scores = text.splitlines()[6:8]
    assert header.endswith(" 日本語の文章      。    </s>")
    assert scores.split() == ["scores", "1.500", "-2.000", "0"]
    columns = sum(2 if one > "\u2e80" else 1 for one in header)
    assert columns == len(scores)


def test_a_large_score_has_no_decimals() -> None:
    scores = {"shape": [1, 3], "rows": [[-12345.678, 999.5, 0.0]]}
    text = format_trace(view(arrays={"decoder.attention.score.scores": scores}))
    (row,) = (line.split() for line in text.splitlines() if line.split()[:1] == ["scores"])
    assert row == ["scores", "-1.235e+04", "999.500", "0"]
