"""Everything that a training is made of, and what follows from where it is."""

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

NEVER_VALIDATED: Final = -1
"""Of `Counters.validated_at`: no weights of this run have been validated, not even the first."""

_Count = Annotated[int, Ge(0)]


@dataclass(kw_only=True)
class Counters:
    """Where training is.

    Attributes:
        update: updates made, skipped ones too.
        epoch: the present epoch, counted from 1.
        batch: batches of it that have been used.
        num_tokens: target tokens seen.
        seconds: time of training, without validations and saves, when it was last noted.
        logged_tokens: `num_tokens` at the latest line of training metrics.
        logged_seconds: `seconds` then.
        validated_at: update of the latest validation.
        first_epoch_batches: batches of the first epoch, which the length of training follows from.
        num_split: batches that ran out of memory and were done in parts, by any process.
        is_finished: the run has come to its end, with test scores and all.
    """

    # What a later version counts besides is refused, as it cannot be carried on.
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
        seed: of the run; what an update draws follows from it and the update.
        best: what the best checkpoint is chosen by, so far.
        stopping: what early stopping watches; None for never.
        base_learning_rate: what the schedule multiplies.
        objective: what an update makes small.
        ema: averages the weights; None where they are used as they are.
        data_identity: what is trained and validated on; a resume needs the same.
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
        """Lend the model the weights that are validated and kept, inside the `with`."""
        return nullcontext() if self.ema is None else self.ema.average_parameters()

    def learning_rate(self) -> float:
        """Return the learning rate of the present update."""
        return self.base_learning_rate * self.schedule.factor(self.counters.update)

    def sampling_probability(self) -> float:
        """Return the chance that the decoder is fed its own words, at the present update."""
        sampling = self.config.scheduled_sampling
        if sampling is None:
            return 0.0
        return scheduled_sampling_probability(self.counters.update, **dict(sampling))

    def seed_update(self) -> None:
        """Start all generators for the present update, each process with numbers of its own.

        So a run that is resumed draws what the unbroken run would have drawn, with nothing to carry
        over. The order of the data follows from the seed and the epoch in the same way (see
        `nmt.data.batching`).
        """
        sources = [self.seed, self.counters.update, self.group.rank]
        words = np.random.SeedSequence(sources).generate_state(1, np.uint64)
        seed_everything(int(words[0]))

    def reason_to_stop(self) -> str | None:
        """Return why training is over, in words; None while it is not."""
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
    """Start all generators (python, numpy, torch on every device) from one number."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def no_sentences(epoch: int) -> ConfigError:
    """Return the error of an epoch for which no corpus gives a pair."""
    return ConfigError(f"data.train: epoch {epoch} has no sentences: give a corpus a larger weight")
