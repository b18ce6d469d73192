"""Peak memory of training: decoder wirings with attention scores."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from benchmarks.ways import Sizes, build, config_of, draw_batches, updates
from nmt.config.model import ModelConfig
from nmt.nn.attention.scores.table import SCORES
from nmt.nn.decoders.table import DECODERS
from nmt.nn.recurrent.table import CELLS
from nmt.system.process import set_up_for_training

NO_ATTENTION = "none"
SCORE_NAMES = (*SCORES, NO_ATTENTION)
"""The rows of the table."""
CELL_NAMES = tuple(CELLS)


@dataclass(frozen=True)
class Wiring:
    """Wiring of a decoder.

    Attributes:
        style: the style with its options, as in a configuration.
        num_layers: layers of the decoder.
    """

    style: dict[str, Any]
    num_layers: int = 1


WIRINGS = {name: Wiring({"name": name}) for name in DECODERS} | {
    "gnmt": Wiring({"name": "gnmt"}, num_layers=2),
    "luong-without-feeding": Wiring({"name": "luong", "input_feeding": False}),
}
"""The columns of the table."""

Case = tuple[str, str, str]
"""Names of a wiring, a score and a precision."""


@dataclass
class Results:
    """Peaks of all cases, and the combinations that the configuration refuses.

    Attributes:
        megabytes: peak of each case, in units of 10**6 bytes.
        refusals: message -> names of the refused combinations.
    """

    megabytes: dict[Case, float] = field(default_factory=dict)
    refusals: dict[str, list[str]] = field(default_factory=dict)

    def row(self, score: str, wirings: Sequence[str], precisions: Sequence[str]) -> str:
        """Return the line of a score, whose cases are measured or refused."""
        cells = []
        for wiring in wirings:
            cases = [(wiring, score, precision) for precision in precisions]
            is_measured = cases[0] in self.megabytes
            peaks = [f"{self.megabytes[case]:,.0f}" for case in cases] if is_measured else []
            cells.append(" / ".join(peaks) or "refused")
        return f"| {score} | {' | '.join(cells)} |"

    def summary(self, limit: float) -> list[str]:
        """Return the refusals, the largest peak, and the peaks that reach the limit, if any."""
        lines = [f"refused: {', '.join(names)}: {why}" for why, names in self.refusals.items()]
        if self.megabytes:
            lines.append(f"largest: {self._describe(max(self.megabytes, key=self._peak))}")
        if over := self.over(limit):
            lines.append(f"over {limit:,.0f} MB: {', '.join(map(self._describe, over))}")
        return lines

    def over(self, limit: float) -> list[Case]:
        """Return the cases whose peak is not below the limit, in megabytes."""
        return [case for case, peak in self.megabytes.items() if peak >= limit]

    def _peak(self, case: Case) -> float:
        return self.megabytes[case]

    def _describe(self, case: Case) -> str:
        wiring, score, precision = case
        return f"{wiring} with {score} in {precision} ({self.megabytes[case]:,.0f} MB)"


def header(wirings: Sequence[str]) -> list[str]:
    """Return the first two lines of the table."""
    return [f"| score | {' | '.join(wirings)} |", "|---" * (1 + len(wirings)) + "|"]


def refusal(wiring: str, score: str, cell: str, sizes: Sizes) -> str | None:
    """Return why the configuration refuses a combination; None: it is accepted."""
    try:
        _config(wiring, score, cell, sizes)
    except ValidationError as error:
        first = error.errors()[0]
        return f"model.{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return None


def peak_of_updates(case: Case, cell: str, sizes: Sizes, num_updates: int) -> float:
    """Make updates as `nmt train` does and return the peak of this process, in megabytes.

    The batches have growing sentences. The peak includes Python, torch and the weights.
    """
    wiring, score, precision = case
    set_up_for_training(num_threads=None)
    model = build(_config(wiring, score, cell, sizes), sizes)
    update = updates(model, getattr(torch, precision))
    for batch in draw_batches(sizes, num_updates):
        update(batch)
    return peak_megabytes()


def peak_megabytes() -> float:
    """Return the peak of the resident memory of this process since it was started."""
    # Not ru_maxrss, which includes the peak of the process that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def _config(wiring: str, score: str, cell: str, sizes: Sizes) -> ModelConfig:
    chosen = WIRINGS[wiring]
    name = None if score == NO_ATTENTION else score
    return config_of(sizes, cell, chosen.style, score=name, num_layers=chosen.num_layers)
