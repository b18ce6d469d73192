"""The bytes of `config.yaml`: an option that is added later changes no line of an earlier run.

`tests/data/configs/text.yaml` has all defaults, in the order of the first runs. New lines may only
come with new options that are set.
"""

from pathlib import Path

import pytest

from nmt.config.file import dump_config, load_config

SMALL = "run: runs/reference\ndata:\n" + "".join(
    f"  {part}: {{source: data/{part}.de, target: data/{part}.en}}\n"
    for part in ("train", "valid", "test")
)
DUMPED = (Path(__file__).parents[1] / "data/configs/text.yaml").read_text(encoding="utf-8")

GRIDS = ["data.{}.source=null", "data.{}.grids={}.npz"]
TEXT = "source: data/{0}.de\n    target: data/{0}.en\n    tsv: null\n    grids: null\n"
CELL = "cell:\n      name: gru\n      fused: true\n"

# Overrides of the smallest configuration, and the lines that change.
CASES: dict[str, tuple[list[str], list[tuple[str, str]]]] = {
    "nothing": ([], []),
    "languages": (
        ["data.source_language=pt_br", "data.target_language=en"],
        [
            (
                "  num_processes: 0\n",
                "  num_processes: 0\n  source_language: pt-BR\n  target_language: en\n",
            )
        ],
    ),
    "tsv": (
        ["data.train=[{tsv: b.tsv, alignments: b.align, alignment_units: auto, weight: 0.5}]"],
        [
            (
                TEXT.format("train")
                + "    alignments: null\n    alignment_units: words\n    weight: 1.0\n",
                "source: null\n    target: null\n    tsv: b.tsv\n    grids: null\n"
                "    alignments: b.align\n    alignment_units: auto\n    weight: 0.5\n",
            ),
        ],
    ),
    "grids": (
        [
            *(line.format(part, part) for part in ("train", "valid", "test") for line in GRIDS),
            "model.encoder={name: grid, channels: 3}",
            "tokenizer.shared=false",
        ],
        [
            *(
                (
                    TEXT.format(part),
                    f"source: null\n    target: data/{part}.en\n    tsv: null\n"
                    f"    grids: {part}.npz\n",
                )
                for part in ("train", "valid", "test")
            ),
            ("  shared: true\n", "  shared: false\n"),
            (
                f"    name: recurrent\n    {CELL}    hidden_size: 256\n    num_layers: 1\n"
                "    bidirectional: true\n    dropout: 0.2\n    recurrent_dropout: 0.0\n"
                "    residual: false\n",
                "    name: grid\n    channels: 3\n    hidden_size: 256\n    max_rows: 16\n"
                "    max_columns: 16\n    dropout: 0.2\n",
            ),
        ],
    ),
    "cells": (
        ["model.encoder.cell=lstm", "model.decoder.cell={name: rnn, activation: relu}"],
        [
            (
                f"recurrent\n    {CELL}",
                "recurrent\n    cell:\n      name: lstm\n      fused: true\n",
            ),
            (
                f"    {CELL}    hidden_size: 512",
                "    cell:\n      name: rnn\n      activation: relu\n    hidden_size: 512",
            ),
        ],
    ),
    "encoder": (
        ["model.encoder={cell: {fused: false}, num_layers: 2, residual: true}"],
        [
            (
                f"recurrent\n    {CELL}",
                "recurrent\n    cell:\n      name: gru\n      fused: false\n",
            ),
            (
                "num_layers: 1\n    bidirectional: true\n    dropout: 0.2\n"
                "    recurrent_dropout: 0.0\n    residual: false\n",
                "num_layers: 2\n    bidirectional: true\n    dropout: 0.2\n"
                "    recurrent_dropout: 0.0\n    residual: true\n",
            ),
        ],
    ),
    "output": (
        ["model.embedding.tie=embeddings", "model.decoder.output_size=512"],
        [
            ("    tie: target\n", "    tie: embeddings\n"),
            (
                "    residual: false\n    output_dropout: 0.2\n",
                "    residual: false\n    output_size: 512\n    output_dropout: 0.2\n",
            ),
        ],
    ),
    "losses": (
        [
            "training.label_smoothing=0",
            "training.r_drop=2.5",
            "training.coverage_loss=1",
            "training.guided_attention={}",
            "data.train.alignments=a.align",
        ],
        [
            ("alignments: null", "alignments: a.align"),
            ("label_smoothing: 0.1\n  r_drop: 0.0\n", "label_smoothing: 0.0\n  r_drop: 2.5\n"),
            (
                "coverage_loss: 0.0\n  guided_attention: null\n",
                "coverage_loss: 1.0\n  guided_attention:\n    loss: cross_entropy\n"
                "    weight: 1.0\n",
            ),
        ],
    ),
    "reinforce": (
        ["model.attention.alignment=hard", "training.reinforce.entropy=0.1"],
        [
            ("name: softmax\n      temperature: 1.0\n", "name: hard\n      expected: 0.5\n"),
            ("entropy: 0.01\n", "entropy: 0.1\n"),
        ],
    ),
    "adam": (["training.optimizer.learning_rate=3e-4"], [("rate: 0.001", "rate: 0.0003")]),
    "adamw": (
        ["training.optimizer=adamw"],
        [("name: adam\n", "name: adamw\n"), ("08\n", "08\n    weight_decay: 0.01\n")],
    ),
    "sgd": (
        ["training.optimizer={name: sgd, learning_rate: 0.5}"],
        [
            (
                "name: adam\n    learning_rate: 0.001\n    beta1: 0.9\n    beta2: 0.999\n"
                "    epsilon: 1.0e-08\n",
                "name: sgd\n    learning_rate: 0.5\n    momentum: 0.0\n    weight_decay: 0.0\n",
            ),
        ],
    ),
    "schedule": (
        ["training.schedule={name: cosine, warmup: 100}"],
        [
            (
                "name: constant\n    warmup: 0\n    cooldown: 0\n",
                "name: cosine\n    warmup: 100\n    num_updates: null\n    final: 0.0\n",
            ),
        ],
    ),
}


@pytest.mark.parametrize(("overrides", "changes"), CASES.values(), ids=CASES)
def test_a_configuration_is_dumped_with_the_same_bytes_as_before(
    overrides: list[str], changes: list[tuple[str, str]], tmp_path: Path
) -> None:
    expected = DUMPED
    for before, after in changes:
        assert before in expected
        expected = expected.replace(before, after, 1)
    path = tmp_path / "config.yaml"
    path.write_text(SMALL)
    assert dump_config(load_config(path, overrides)) == expected
    path.write_text(expected, encoding="utf-8")
    assert dump_config(load_config(path)) == expected


@pytest.mark.parametrize("run", ["data/earlier_version/run", "integration/version_1/runs/dot"])
def test_a_dumped_run_of_an_earlier_version_is_dumped_alike(run: str, tmp_path: Path) -> None:
    dumped = dump_config(load_config(Path(__file__).parents[1] / run / "config.yaml"))
    (tmp_path / "config.yaml").write_text(dumped, encoding="utf-8")
    assert dump_config(load_config(tmp_path / "config.yaml")) == dumped
