from typing import Any

import pytest

from nmt.config.tree import diff, option_paths

FOLDER = "/data/corpora/of-all-sorts/2024/english-german"


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": "1 -> 2"}),
        ({"a": {"b": {"c": True}}}, {"a": {"b": {"c": None}}}, {"a.b.c": "true -> null"}),
        ({"a": {"name": "x"}}, {"a": {"name": "y", "b": 2}}, {
            "a.name": "'x' -> 'y'", "a.b": "not set -> 2",
        }),
        ({"a": {}}, {"a": {"b": 1}}, {"a.b": "not set -> 1"}),
        ({}, {"a": None}, {"a": "not set -> null"}),
        ({"a": {"b": 1}}, {}, {"a": "{'b': 1} -> not set"}),
        ({"a": {"b": 1}}, {"a": None}, {"a": "{'b': 1} -> null"}),
        ({"a": None}, {"a": {"b": None}}, {"a": "null -> {'b': None}"}),
        ({"a": [1, 2]}, {"a": [1, 3]}, {"a[1]": "2 -> 3"}),
        ({"a": [1, 2]}, {"a": [1]}, {"a[1]": "2 -> not set"}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}, {"b": 2}]}, {"a[1]": "not set -> {'b': 2}"}),
    ],
)  # fmt: skip
def test_diff_names_each_option_by_its_path(
    before: dict[str, Any], now: dict[str, Any], told: dict[str, str]
) -> None:
    assert diff(before, now) == told


def corpora(*weights: float) -> dict[str, Any]:
    files = {"source": f"{FOLDER}/train.en", "target": f"{FOLDER}/train.de"}
    return {"data": {"train": [{**files, "weight": weight} for weight in weights]}}


def test_diff_of_one_corpus_option() -> None:
    assert diff(corpora(1.0, 1.0), corpora(1.0, 2.0)) == {"data.train[1].weight": "1.0 -> 2.0"}


def test_long_values_are_not_shortened_in_a_diff() -> None:
    told = diff({"run": f"{FOLDER}/a/deep/folder/1"}, {"run": f"{FOLDER}/a/deep/folder/2"})
    assert told == {"run": f"'{FOLDER}/a/deep/folder/1' -> '{FOLDER}/a/deep/folder/2'"}
    told = diff(corpora(1.0), corpora(1.0, 2.0))
    assert told["data.train[1]"].startswith(f"not set -> {{'source': '{FOLDER}")
    assert len(told["data.train[1]"]) < 80


def test_paths_of_groups_and_plug_ins() -> None:
    assert option_paths("learning_rate", of_plugins=True) == ["training.optimizer.learning_rate"]
    assert option_paths("vocabulary_size", of_plugins=True) == ["tokenizer.vocabulary_size"]
    assert option_paths("batch_tokens", of_plugins=True) == [
        "training.batch_tokens",
        "decoding.batch_tokens",
    ]
    assert option_paths("patience", of_plugins=True)[0] == "training.schedule.patience"
    assert option_paths("run", of_plugins=True) == ["run"]
    assert option_paths("channels", of_plugins=True) == ["model.encoder.channels"]
    assert option_paths("fused", of_plugins=True) == [
        "model.encoder.cell.fused",
        "model.decoder.style.fused",
        "model.decoder.cell.fused",
    ]
    assert option_paths("nonsense", of_plugins=True) == []
    assert option_paths("learning_rate", of_plugins=False) == []
    assert option_paths("run", of_plugins=False) == ["run"]


def test_paths_inside_lists_and_optional_groups() -> None:
    assert "data.train.weight" in option_paths("weight", of_plugins=True)
    assert option_paths("num_heads", of_plugins=True) == ["model.attention.num_heads"]
