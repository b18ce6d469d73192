"""Saved weights of a run: the best, and those of the latest validations."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from nmt.runs.checkpoint import (
    delete_checkpoint,
    is_checkpoint,
    load_checkpoint,
    save_checkpoint,
    tidy_checkpoint,
)
from nmt.runs.run import BEST, RunDirectory

# A save that is in progress or was cut off has a suffix (see `nmt.runs.checkpoint`).
_STEP: Final = re.compile(r"step-(0|[1-9][0-9]*)(\.new|\.old)?$")


class Snapshots:
    """Checkpoints that hold only weights.

    Args:
        run: the folder of the run.
        keep: number of latest validations to keep.
    """

    def __init__(self, run: RunDirectory, keep: int) -> None:
        self._run = run
        self._keep = keep

    def save_best(self, weights: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Replace the best weights; `facts` are their metadata."""
        save_checkpoint(self._run.checkpoint(BEST), {"model": weights}, facts)

    def save(self, update: int, weights: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Save the weights of a validation, and delete those that are too old."""
        save_checkpoint(self._run.checkpoint(f"step-{update}"), {"model": weights}, facts)
        for _, folder in self._sorted():
            tidy_checkpoint(folder)  # clean up after a killed process
        for _, folder in self._sorted()[: -self._keep]:
            delete_checkpoint(folder)

    def latest(self, count: int) -> list[int]:
        """Return the updates of the latest snapshots, the oldest first."""
        updates = [update for update, folder in self._sorted() if is_checkpoint(folder)]
        return updates[max(0, len(updates) - count) :]

    def weights(self, updates: list[int]) -> Iterator[Mapping[str, Tensor]]:
        """Yield the weights at each of these updates."""
        for update in updates:
            yield load_checkpoint(self._run.checkpoint(f"step-{update}")).tensors["model"]

    def _sorted(self) -> list[tuple[int, Path]]:
        """Return every update with a complete or partial snapshot, and the snapshot's folder."""
        names = (path.name for path in self._run.checkpoints.iterdir())
        updates = {int(match[1]) for match in map(_STEP.match, names) if match}
        return [(update, self._run.checkpoint(f"step-{update}")) for update in sorted(updates)]
