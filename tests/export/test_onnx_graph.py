"""Whatever a model is made of, its file finds what its search finds (see `compare.py`)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nmt.nn.attention.alignments.table import ALIGNMENTS
from nmt.nn.attention.scores.table import SCORES
from nmt.nn.decoders.table import DECODERS
from nmt.nn.recurrent.table import CELLS

pytestmark = pytest.mark.slow

FORMS: list[dict[str, dict[str, Any] | None]] = [
    *({"decoder": {"style": style}} for style, kind in DECODERS.items() if kind.uses_attention),
    {"decoder": {"style": {"name": "luong", "input_feeding": False}}},
    {"decoder": {"style": "sutskever"}, "attention": None},
    {"attention": None},
    {
        "encoder": {"num_layers": 2, "residual": True},
        "decoder": {"style": "gnmt", "num_layers": 2, "residual": True},
    },
    *({"attention": {"score": score}} for score in SCORES if score != "additive"),
    *({"attention": {"alignment": name}} for name in ALIGNMENTS if name != "softmax"),
    {"attention": {"alignment": {"name": "entmax", "learn_alpha": True}}},
    {"attention": {"score": "scaled_dot", "num_heads": 4}},
    *({"encoder": {"cell": cell}, "decoder": {"cell": cell}} for cell in CELLS if cell != "gru"),
]


def run(*arguments: str) -> None:
    script = Path(__file__).with_name("compare.py")
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", script, *arguments], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr[-4000:]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_each_part(form: dict[str, dict[str, Any] | None]) -> None:
    run("each_part", json.dumps(form))


@pytest.mark.parametrize("name", ["int8", "a_shortlist", "other_limits", "weights_are_shared"])
def test_special_tokens(name: str) -> None:
    run(name)
