"""Padding of the batches of a configuration, and how long training waits for them.

    python scripts/measure_data_loading.py configs/multi30k/de_en.yaml training.batch_tokens=4000

Trains for some updates as configured, in a folder that is deleted at the end (data: see
`prepare_multi30k.py`). Padding is the share of PAD in the source and label matrices, over all
batches of some epochs. The waiting time is the time of `next(batches)`, with training's prefetching
and the planning of each epoch after the first. The rest is the update. The table also has the time
to make a batch when nothing else runs, planning included.
Prints a Markdown table.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import count

import torch

from nmt.config.experiment import Config
from nmt.config.file import load_config
from nmt.core.batch import Batch
from nmt.core.errors import UserError
from nmt.core.special_tokens import PAD
from nmt.data.loader import DataLoader
from nmt.runs.run import RunDirectory
from nmt.system.process import set_up_for_training
from nmt.training.logs.running_metrics import Timer
from nmt.training.new_state import build_state
from nmt.training.optim.optimizer import apply_gradients
from nmt.training.prepare_data import prepare_data
from nmt.training.state import TrainingState

SIDES = ("source", "labels")


@dataclass
class Batches:
    """Contents of batches, added up.

    Attributes:
        number: number of batches.
        tokens: target tokens, without padding.
        sizes: elements of the matrices of each side.
        pads: elements that are PAD, by side.
    """

    number: int = 0
    tokens: int = 0
    sizes: Counter[str] = field(default_factory=Counter)
    pads: Counter[str] = field(default_factory=Counter)

    def add(self, batch: Batch) -> None:
        """Count one more batch."""
        self.number += 1
        self.tokens += batch.num_target_tokens
        for side, matrix in zip(SIDES, (batch.source, batch.labels), strict=True):
            self.sizes[side] += matrix.numel()
            self.pads[side] += int((matrix == PAD).sum())

    def padding(self, *sides: str) -> float:
        """Return the share of PAD on these sides."""
        return sum(self.pads[side] for side in sides) / sum(self.sizes[side] for side in sides)


@dataclass(frozen=True)
class Times:
    """Times of some updates, in seconds.

    Attributes:
        waiting: time spent waiting for batches.
        total: time of the updates, with waiting.
    """

    waiting: float
    total: float


def main(arguments: list[str] | None = None) -> int:
    """Run with these arguments (default: `sys.argv`) and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", metavar="CONFIG")
    parser.add_argument("options", metavar="KEY=VALUE", nargs="*")
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="of padding, default: 3")
    parser.add_argument("--updates", type=int, default=200, metavar="N", help="default: 200")
    given = parser.parse_intermixed_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        try:
            config = load_config(given.config, [*given.options, f"run={folder}/run"])
            measure(config, given.epochs, given.updates)
        except UserError as error:
            print(f"measure_data_loading: error: {error}", file=sys.stderr)
            return 2
    return 0


def measure(config: Config, num_epochs: int, num_updates: int) -> None:
    """Print the table."""
    set_up_for_training(config.training.num_threads)
    torch.manual_seed(config.seed)
    run = RunDirectory.create(config.run)
    data = prepare_data(config, run)
    loader = data.loader
    started = time.perf_counter()
    batches = count_batches(loader, num_epochs)
    making = time.perf_counter() - started
    times = time_updates(build_state(config, run, data), loader, num_updates)
    print("| what | measured |\n|---|---|")
    per_epoch = f"{len(loader.corpora[0]):,}, {batches.number / num_epochs:,.0f}"
    shares = [batches.padding(*sides) for sides in (SIDES, *((side,) for side in SIDES))]
    padding = "{:.2%}: {:.2%} and {:.2%}".format(*shares)
    print(f"| pairs, batches an epoch | {per_epoch} |")
    print(f"| target tokens a batch, on average | {batches.tokens / batches.number:,.0f} |")
    print(f"| padding, {num_epochs} epochs: both sides, source and target | {padding} |")
    print(f"| an update | {1000 * times.total / num_updates:,.0f} ms |")
    print(f"| making a batch, by itself | {1000 * making / batches.number:.2f} ms |")
    print(f"| waiting for a batch | {1000 * times.waiting / num_updates:.2f} ms |")
    print(f"| share of the time, {num_updates} updates | {times.waiting / times.total:.2%} |")


def count_batches(loader: DataLoader, num_epochs: int) -> Batches:
    """Count the batches of this number of epochs."""
    batches = Batches()
    for epoch in range(1, num_epochs + 1):
        for batch in loader.epoch(epoch):
            batches.add(batch)
    return batches


def time_updates(state: TrainingState, loader: DataLoader, number: int) -> Times:
    """Make this number of updates from the first epoch on, and time the waiting for batches."""
    state.model.train()
    batches = all_batches(loader)
    timer = Timer(state.device)
    waiting = 0.0
    update(state, next(batches))  # warm-up
    timer.restart()
    for _ in range(number):
        started = time.perf_counter()
        batch = next(batches)
        waiting += time.perf_counter() - started
        update(state, batch)
    batches.close()
    return Times(waiting, timer.restart())


def all_batches(loader: DataLoader) -> Generator[Batch, None, None]:
    """Yield the batches of one epoch after the other, without end."""
    for epoch in count(1):
        yield from loader.epoch(epoch)


def update(state: TrainingState, batch: Batch) -> None:
    """Make an update as `Trainer` does."""
    losses = state.objective(state.model, batch.to(state.device))
    (losses.objective / batch.num_target_tokens).backward()
    apply_gradients(state.optimizer, losses.objective.detach(), state.config.clip_norm)


if __name__ == "__main__":
    sys.exit(main())
