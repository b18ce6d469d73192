"""Data that would give misleading figures is mentioned before the training."""

from pathlib import Path
from typing import Any

import pytest

from nmt.config.experiment import Config
from nmt.training.prepare_data import warn_about_case, warn_about_duplicates


def config(folder: Path, splits: dict[str, Any], **options: Any) -> Config:
    data: dict[str, Any] = {}
    for name, corpora in splits.items():
        paths = []
        for number, pairs in enumerate(corpora):
            path = folder / f"{name}{number}.tsv"
            path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs))
            paths.append({"tsv": str(path)})
        data[name] = paths if name == "train" else paths[0]
    data["filters"] = options.pop("filters", {})
    return Config.model_validate({"run": "runs/x", "data": data, **options})


TRAIN = [[("a", "A"), ("b", "B")], [("b", "B"), ("c", "C"), ("d", "D")]]


def test_pairs_that_are_trained_and_measured_on_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    valid, test = [[("a", "A"), ("c", "C"), ("x", "C")]], [TRAIN[1]]
    warn_about_duplicates(config(tmp_path, {"train": TRAIN, "valid": valid, "test": test}))
    assert caplog.messages == [
        "data.valid: 2 of 3 pairs (66.7%) are also training pairs, so its scores are too "
        "high; remove them from one of the corpora",
        "data.test: 3 of 3 pairs (100.0%) are also training pairs, so its scores are too "
        "high; remove them from one of the corpora",
    ]


@pytest.mark.parametrize("deduplicate", [False, True])
def test_training_pairs_that_repeat_another_are_counted_unless_they_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, deduplicate: bool
) -> None:
    caplog.set_level("INFO", "nmt")
    splits = {"train": TRAIN, "valid": [[("x", "X")]]}
    warn_about_duplicates(config(tmp_path, splits, filters={"deduplicate": deduplicate}))
    told = (
        "data.train: 1 of 5 pairs are duplicates; remove them with data.filters.deduplicate: true"
    )
    assert caplog.messages == ([] if deduplicate else [told])


@pytest.mark.parametrize(
    ("lowercase", "best", "stopping", "target", "keys"),
    [
        (True, "bleu", "bleu", "A", ["training.validation.best", "training.early_stopping.metric"]),
        (True, "loss", "chrf", "A", ["training.early_stopping.metric"]),
        (True, "bleu_lc", "loss", "A", []),
        (True, "ter", "ter", "A", []),
        (True, "bleu", "bleu", "a", []),  # there is no case in the references
        (False, "bleu", "bleu", "A", []),
    ],
)
def test_a_metric_that_counts_case_does_not_suit_lowercased_text(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    lowercase: bool,
    best: str,
    stopping: str,
    target: str,
    keys: list[str],
) -> None:
    validation = {"metrics": ["bleu", "bleu_lc", "chrf", "ter"], "best": best}
    training = {"validation": validation, "early_stopping": {"metric": stopping}}
    splits = {"train": TRAIN, "valid": [[("a", target)]]}
    options = {"training": training, "tokenizer": {"lowercase": lowercase}}
    warn_about_case(config(tmp_path, splits, **options))
    assert [message.partition(":")[0] for message in caplog.messages] == keys
    assert all(
        message.endswith(
            " is case-sensitive, but tokenizer.lowercase: true gives lowercase output; set it to "
            "bleu_lc (listed in training.validation.metrics) or loss"
        )
        for message in caplog.messages
    )
