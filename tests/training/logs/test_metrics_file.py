import json
import math
from pathlib import Path

from nmt.training.logs.metrics_file import MetricsFile, read_curves


def test_one_object_a_line(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path / "metrics.jsonl")
    metrics.append("train", {"update": 1, "loss": 2.5, "gradient_norm": math.nan})
    metrics.append("validation", {"update": 1, "perplexity": math.inf, "scores": {"bleu": 3.0}})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"kind": "train", "update": 1, "loss": 2.5, "gradient_norm": None},
        {"kind": "validation", "update": 1, "perplexity": None, "scores": {"bleu": 3.0}},
    ]


def test_metrics_after_the_checkpoint_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics = MetricsFile(path)
    metrics.append("train", {"update": 1})
    end = metrics.end
    metrics.append("train", {"update": 2})
    path.write_bytes(path.read_bytes()[:-3])
    MetricsFile(path, end).append("train", {"update": 2})
    assert [json.loads(line)["update"] for line in path.read_text().splitlines()] == [1, 2]


def test_a_new_training_starts_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("of another run\n")
    assert MetricsFile(path).end == 0


def test_deleted_file_is_started_again(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path / "metrics.jsonl", 1000)
    metrics.append("train", {"update": 2})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"kind": "train", "update": 2}\n'


def test_curves(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path / "metrics.jsonl")
    for update, loss in [(10, 5.0), (20, math.nan), (30, 4.0)]:
        values = {"update": update, "loss": loss, "learning_rate": update / 100}
        metrics.append("train", values)
    metrics.append("validation", {"update": 20, "loss": 6.0, "scores": {"bleu": 7.0, "ter": 90.0}})
    assert read_curves(tmp_path / "metrics.jsonl") == {
        "loss": {
            "training (with dropout, if any)": [(10, 5.0), (30, 4.0)],
            "validation": [(20, 6.0)],
        },
        "learning rate": {"learning rate": [(10, 0.1), (20, 0.2), (30, 0.3)]},
        "bleu": {"bleu": [(20, 7.0)]},
        "ter": {"ter": [(20, 90.0)]},
    }


def test_no_lines_make_no_curves(tmp_path: Path) -> None:
    MetricsFile(tmp_path / "metrics.jsonl")
    assert not any(read_curves(tmp_path / "metrics.jsonl").values())


def test_a_learning_rate_that_never_moved_is_not_drawn(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path / "metrics.jsonl")
    for update in (10, 20):
        metrics.append("train", {"update": update, "loss": 1.0, "learning_rate": 0.1})
    assert not read_curves(tmp_path / "metrics.jsonl")["learning rate"]
    metrics.append("train", {"update": 30, "loss": 1.0, "learning_rate": 0.05})
    moved = {"learning rate": [(10, 0.1), (20, 0.1), (30, 0.05)]}
    assert read_curves(tmp_path / "metrics.jsonl")["learning rate"] == moved
