"""The training state: all parts of a training, and the values that depend on its progress."""

import random
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import numpy as np
import torch
from annotated_types import Ge
from pydantic import ConfigDict

from nmt.config.training import TrainingConfig
from nmt.core.errors import ConfigError
from nmt.data.loader import DataLoader
from nmt.distributed.process_group import ProcessGroup
from nmt.nn.model import Model
from nmt.runs.run import RunDirectory
from nmt.training.divergence import DivergenceDetector
from nmt.training.early_stopping import MetricTracker
from nmt.training.logs.reporter import Reporter
from nmt.training.logs.running_metrics import RunningMetrics
from nmt.training.objective.objective import Objective
from nmt.training.optim.averaging import ExponentialMovingAverage
from nmt.training.optim.optimizer import Optimizer
from nmt.training.optim.schedule import Schedule, scheduled_sampling_probability
from nmt.training.resume_checks import DataIdentity
from nmt.training.snapshots import Snapshots
from nmt.training.validation import Validator

# Value of `Counters.validated_at` before the initial weights have been validated.
NEVER_VALIDATED: Final = -1

_Count = Annotated[int, Ge(0)]


@dataclass(kw_only=True)
class Counters:
    """The progress of training.

    Attributes:
        update: number of updates, including skipped ones.
        epoch: the present epoch, counted from 1.
        batch: batches of the present epoch that have been used.
        num_tokens: target tokens seen.
        seconds: training time without validations and saves, when last recorded.
        logged_tokens: `num_tokens` at the latest line of training metrics.
        logged_seconds: `seconds` at the latest line of training metrics.
        validated_at: update of the latest validation.
        first_epoch_batches: batches of the first epoch, which determine the length of training.
        num_split: batches of all processes that ran out of memory and were split.
        is_finished: whether the run is complete, including test scores.
    """

    # Unknown counters of a later version are refused, because they could not be updated.
    __pydantic_config__: ClassVar = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")

    update: _Count
    epoch: Annotated[int, Ge(1)]
    batch: _Count
    num_tokens: _Count
    seconds: Annotated[float, Ge(0.0)]
    logged_tokens: _Count
    logged_seconds: Annotated[float, Ge(0.0)]
    validated_at: Annotated[int, Ge(NEVER_VALIDATED)]
    first_epoch_batches: Annotated[int, Ge(1)] | None
    num_split: _Count = 0
    is_finished: bool = False


@dataclass
class TrainingState:
    """The parts that train together; made by `build_state`, driven by `Trainer`.

    Attributes:
        group: the processes that train together.
        seed: seed of the run; the random numbers of an update depend on it and the update.
        best: tracker of the metric that selects the best checkpoint.
        stopping: tracker of the metric of early stopping; None: no early stopping.
        base_learning_rate: learning rate that the schedule multiplies.
        objective: the loss that is minimised.
        ema: moving average of the weights; None: the weights are used as they are.
        data_identity: identifies the training and validation data; must be the same on resume.
    """

    config: TrainingConfig
    group: ProcessGroup
    seed: int
    run: RunDirectory
    device: torch.device
    precision: torch.dtype
    model: Model
    loader: DataLoader
    optimizer: Optimizer
    base_learning_rate: float
    schedule: Schedule
    objective: Objective
    ema: ExponentialMovingAverage | None
    validator: Validator | None
    best: MetricTracker
    stopping: MetricTracker | None
    running_metrics: RunningMetrics
    divergence: DivergenceDetector
    snapshots: Snapshots
    reporter: Reporter
    data_identity: DataIdentity
    counters: Counters

    def evaluation_weights(self) -> AbstractContextManager[None]:
        """Give the model the weights to validate and save, inside the `with`."""
        return nullcontext() if self.ema is None else self.ema.average_parameters()

    def learning_rate(self) -> float:
        """Return the learning rate of the present update."""
        return self.base_learning_rate * self.schedule.factor(self.counters.update)

    def sampling_probability(self) -> float:
        """Return the probability that the decoder is fed its own predictions at this update."""
        sampling = self.config.scheduled_sampling
        if sampling is None:
            return 0.0
        return scheduled_sampling_probability(self.counters.update, **dict(sampling))

    def seed_update(self) -> None:
        """Seed all generators for the present update, differently in each process.

        A resumed run therefore draws the same random numbers as an uninterrupted run, without saved
        generator states. Likewise, the order of the data depends only on the seed and the epoch
        (see `nmt.data.batching`).
        """
        sources = [self.seed, self.counters.update, self.group.rank]
        words = np.random.SeedSequence(sources).generate_state(1, np.uint64)
        seed_everything(int(words[0]))

    def reason_to_stop(self) -> str | None:
        """Return a description of why training is over; None: it is not over."""
        config, counters = self.config, self.counters
        if config.max_updates is not None and counters.update >= config.max_updates:
            return f"max_updates ({config.max_updates:,}) reached"
        if config.max_epochs is not None and counters.epoch > config.max_epochs:
            return f"max_epochs ({config.max_epochs:,}) reached"
        if self.stopping is not None and config.early_stopping is not None:
            patience = config.early_stopping.patience
            if self.stopping.without_best >= patience:
                return f"{patience} validations in a row without a better {self.stopping.metric}"
        return None


def seed_everything(seed: int) -> None:
    """Seed all generators: python, numpy, and torch on every device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def no_sentences(epoch: int) -> ConfigError:
    """Return the error for an epoch without sentence pairs."""
    return ConfigError(f"data.train: epoch {epoch} has no sentences; give a corpus a larger weight")
