"""What a configuration of version 1 means now: only `general` has a projection."""

from typing import Any

import pytest

from nmt.config.tree import Tree
from nmt.config.versions import name_trained_score, upgrade

UNEQUAL: Tree = {"encoder": {"hidden_size": 4}, "decoder": {"hidden_size": 6}}
REST: Tree = {"run": "x", "data": {}, "tokenizer": {}, "training": {}, "decoding": {}}


def score(tree: Tree) -> Any:
    return tree["model"]["attention"]["score"]


@pytest.mark.parametrize("written", ["dot", "scaled_dot", {"name": "dot"}])
def test_version_1_dot_over_unequal_sizes_is_general(written: Any) -> None:
    model = {**UNEQUAL, "attention": {"score": written, "num_heads": 2}}
    before = {"version": "1", "model": model, **REST}
    after = upgrade(before)
    assert after["version"] == 2 and score(after) == "general"
    assert after["model"]["attention"]["num_heads"] == 2
    assert score(before) == written, "what was read is left as it is"


@pytest.mark.parametrize(
    ("encoder", "size"),
    [
        ({"hidden_size": "3"}, 6),
        ({"hidden_size": 6, "bidirectional": "false"}, 6),
        ({"name": "grid", "channels": 1, "hidden_size": 6}, 6),
        ({}, 512),  # twice 256
        ("recurrent", 512),
    ],
)
def test_dot_products_of_one_size_keep_their_name(encoder: Any, size: int) -> None:
    decoder = {"hidden_size": size}
    model = {"attention": {"score": "dot"}, "encoder": encoder, "decoder": decoder}
    assert score(name_trained_score({"model": model})) == "dot"
    other = {**model, "decoder": {"hidden_size": size + 2}}
    assert score(name_trained_score({"model": other})) == "general"


def test_version_1_file_by_hand_is_not_reinterpreted() -> None:
    given = {"version": 1, "run": "x", "model": {**UNEQUAL, "attention": {"score": "dot"}}}
    assert upgrade(given) == {**given, "version": 2}


@pytest.mark.parametrize(
    "model",
    [
        None,
        "x",
        {"attention": None},
        {"attention": {"score": "additive"}, **UNEQUAL},
        {"attention": {"score": ["dot"]}, **UNEQUAL},
        {"attention": {"score": "dot"}, "encoder": "other"},
        {"attention": {"score": "dot"}, "encoder": ["x"]},
        {"attention": {"score": "dot"}, "encoder": {"hidden_size": "many"}},
        {"attention": {"score": "dot"}, "decoder": None},
    ],
)
def test_other_values_are_left_to_the_validation(model: Any) -> None:
    assert name_trained_score({"model": model}) == {"model": model}
