import json
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    module: ModuleType = load_script("benchmark_ranks")
    return module


def test_trainings_take_turns_and_the_second_half_counts(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    trained: list[int] = []

    def train(folder: Path, run: Path, number: int, given) -> None:
        assert len((folder / "source").read_text().splitlines()) == 40 * 64
        trained.append(number)
        run.mkdir()
        rows = [
            {"kind": "train", "update": 5, "tokens_per_second": 1.0},
            {"kind": "validation", "update": 10},
            {"kind": "train", "update": 10, "tokens_per_second": 1000.0 * number + len(trained)},
        ]
        (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))

    monkeypatch.setattr(script, "train", train)
    assert script.main(["--rounds", "3", "--updates", "10"]) == 0
    assert trained == [1, 2] * 3
    assert capsys.readouterr().out.splitlines() == [
        "| processes | target tokens/s, median (all) | against the first |",
        "|---|---|---|",
        "| 1 | 1,003 (1,001, 1,003, 1,005) | 1.00 |",
        "| 2 | 2,004 (2,002, 2,004, 2,006) | 2.00 |",
    ]


def test_a_training(script: ModuleType, tmp_path: Path) -> None:
    """Of one process, with a model that is small enough for a test."""
    script.write_corpus(tmp_path, num_batches=1)
    small = ("encoder.hidden_size=4", "decoder.hidden_size=4", "embedding.size=4")
    options = ["--updates", "2", "--batch-tokens", "100", "--precision", "float32"]
    given = script._parser().parse_args([*options, "--set", *(f"model.{key}" for key in small)])
    script.train(tmp_path, tmp_path / "run", 1, given)
    assert script.speed(tmp_path / "run", 2) > 0


@pytest.mark.parametrize("updates", ["5", "0", "-2"])
def test_updates_that_have_no_second_half(script: ModuleType, updates: str, capsys) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        script.main([f"--updates={updates}"])
    assert f"--updates: must be even and at least 2, not {updates}" in capsys.readouterr().err


def test_failed_training_gives_the_reason(script: ModuleType, tmp_path: Path, capsys) -> None:
    (tmp_path / "config.yaml").write_text(script.CONFIG)
    given = script._parser().parse_args(["--set", "training.clip_nrm=3"])
    with pytest.raises(SystemExit, match="--ranks 1: the training has failed"):
        script.train(tmp_path, tmp_path / "run", 1, given)
    assert "training.clip_nrm" in capsys.readouterr().err
