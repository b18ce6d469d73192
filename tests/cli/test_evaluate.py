from typing import Any

import pytest

from nmt.cli.evaluate import _describe
from nmt.config.decoding import DecodingConfig


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "beam search of 5, length penalty average"),
        ({"search": {"name": "greedy"}}, "greedy search, length penalty average"),
        (
            {"search": {"name": "sampling"}, "mbr": "chrf", "mbr_candidates": 9},
            "sampling search, length penalty average, mbr chrf of 9 candidates",
        ),
        (
            {"length_penalty": {"name": "none"}, "coverage_penalty": {"name": "gnmt"}},
            "beam search of 5, length penalty none, coverage penalty gnmt",
        ),
    ],
)
def test_search_is_described(options: dict[str, Any], told: str) -> None:
    assert _describe(DecodingConfig.model_validate(options)) == told
