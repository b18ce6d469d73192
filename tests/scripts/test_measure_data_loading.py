import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from nmt.core.batch import make_batch

pytestmark = pytest.mark.usefixtures("unchecked")

CONFIG = """
run: nowhere
data: {{train: {{source: {folder}/text, target: {folder}/text}}}}
tokenizer: {{name: words}}
model: {{embedding: {{size: 4}}, encoder: {{hidden_size: 4}}, decoder: {{hidden_size: 4}}}}
training:
  num_threads: 1
  batch_tokens: 4
  early_stopping: null
  validation: {{metrics: [], best: loss}}
device: cpu
"""


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    module: ModuleType = load_script("measure_data_loading")
    return module


def test_padding_by_hand(script: ModuleType) -> None:
    # Sources with EOS: 3 and 2 of 2 x 3; labels: 2 and 4 of 2 x 4; then a batch without padding.
    batches = script.Batches()
    batches.add(make_batch([[4, 5], [4]], [[6], [6, 7, 8]]))
    batches.add(make_batch([[4, 5]], [[6]]))
    assert batches.padding("source") == 1 / 9
    assert batches.padding("labels") == 2 / 10
    assert batches.padding("source", "labels") == 3 / 19
    assert (batches.number, batches.tokens) == (2, 8)


def test_waiting_for_batches_is_separate_from_updates(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowLoader:
        def epoch(self, number: int):
            for _ in range(2):
                time.sleep(0.02)
                yield f"batch of epoch {number}"

    seen = []

    def update(state, batch) -> None:
        seen.append(batch)
        time.sleep(0.01)

    monkeypatch.setattr(script, "update", update)
    state = SimpleNamespace(model=torch.nn.Linear(1, 1), device=torch.device("cpu"))
    times = script.time_updates(state, SlowLoader(), 3)
    assert seen == ["batch of epoch 1", "batch of epoch 1", "batch of epoch 2", "batch of epoch 2"]
    assert times.waiting >= 0.06
    assert times.total >= times.waiting + 0.03


def test_table_lists_what_was_measured(
    script: ModuleType, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("a b c\na b c\na b c\n")
    (tmp_path / "config.yaml").write_text(CONFIG.format(folder=tmp_path))
    threads: list[int | None] = []
    monkeypatch.setattr(script, "set_up_for_training", threads.append)
    assert script.main(["config.yaml", "--epochs", "2", "--updates", "3"]) == 0
    assert threads == [1], "the process is set up as that of `nmt train`"
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert rows[:5] == [
        ["what", "measured"],
        ["---|---"],
        ["pairs, batches an epoch", "3, 3"],
        ["target tokens a batch, on average", "4"],
        ["padding, 2 epochs: both sides, source and target", "0.00%: 0.00% and 0.00%"],
    ]
    assert [row[0] for row in rows[5:]] == [
        "an update",
        "making a batch, by itself",
        "waiting for a batch",
        "share of the time, 3 updates",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "text"]


def test_error_is_reported_in_one_line(script: ModuleType, tmp_path: Path, capsys) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG.format(folder=tmp_path))
    assert script.main([str(tmp_path / "config.yaml")]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"measure_data_loading: error: {tmp_path / 'text'}: ")
    assert told.count("\n") == 1
