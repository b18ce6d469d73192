from pathlib import Path

import torch

from nmt.runs.run import RunDirectory
from nmt.training.snapshots import Snapshots


def names(run: RunDirectory) -> list[str]:
    return sorted(path.name for path in run.checkpoints.iterdir())


def test_files_of_killed_processes_are_removed(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    snapshots = Snapshots(run, keep=2)
    for update in (2, 4, 6):
        snapshots.save(update, {"a": torch.ones(1)}, {})
    assert names(run) == ["step-4", "step-6"]
    (run.checkpoint("step-4") / "manifest.json").unlink()  # killed while it was deleted
    run.checkpoint("step-8.new").mkdir()  # while it was written
    run.checkpoint("step-6").rename(run.checkpoint("step-6.old"))  # between two renames
    run.checkpoint("step-by-step").mkdir()  # somebody's own
    assert snapshots.latest(9) == [6]
    snapshots.save(10, {"a": torch.ones(1)}, {})
    assert names(run) == ["step-10", "step-6", "step-by-step"]
    assert snapshots.latest(9) == [6, 10]


def test_the_latest_come_with_the_oldest_first(tmp_path: Path) -> None:
    snapshots = Snapshots(RunDirectory(tmp_path), keep=3)
    for update in (8, 9, 10, 11):
        snapshots.save(update, {"a": torch.full((1,), float(update))}, {})
    assert [snapshots.latest(count) for count in (0, 1, 2, 9)] == [[], [11], [10, 11], [9, 10, 11]]
    assert [weights["a"].item() for weights in snapshots.weights([10, 11])] == [10.0, 11.0]
