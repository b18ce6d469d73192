"""Everything that a training is made of, and its state as a checkpoint."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from nmt.config.training import TrainingConfig
from nmt.data.loader import DataLoader
from nmt.distributed.process_group import ProcessGroup
from nmt.nn.model import Model
from nmt.runs.checkpoint import Checkpoint, save_checkpoint
from nmt.runs.run import LAST, RunDirectory
from nmt.training.divergence import DivergenceDetector
from nmt.training.early_stopping import MetricTracker
from nmt.training.logs.reporter import Reporter
from nmt.training.logs.running_metrics import RunningMetrics
from nmt.training.objective.objective import Objective
from nmt.training.optim.ema import ExponentialMovingAverage
from nmt.training.optim.optimizers import (
    Optimizer,
    optimizer_shapes,
    optimizer_tensors,
    restore_optimizer,
)
from nmt.training.optim.schedules import Schedule, scheduled_sampling_probability
from nmt.training.resume_checks import DataIdentity
from nmt.training.saved_state import require_same_schedule, require_same_tensors
from nmt.training.snapshots import Snapshots
from nmt.training.validation import Validator

NEVER_VALIDATED: Final = -1
"""Of `Counters.validated_at`: no weights of this run have been validated, not even the first."""


@dataclass
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

    update: int = 0
    epoch: int = 1
    batch: int = 0
    num_tokens: int = 0
    seconds: float = 0.0
    logged_tokens: int = 0
    logged_seconds: float = 0.0
    validated_at: int = 0
    first_epoch_batches: int | None = None
    num_split: int = 0
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
    counters: Counters = field(default_factory=Counters)

    def evaluation_weights(self) -> AbstractContextManager[None]:
        """Inside, the model holds the weights that are validated and kept."""
        return nullcontext() if self.ema is None else self.ema.average_parameters()

    def learning_rate(self) -> float:
        """Of the present update."""
        return self.base_learning_rate * self.schedule.factor(self.counters.update)

    def sampling_probability(self) -> float:
        """The chance that the decoder is fed its own words, at the present update."""
        sampling = self.config.scheduled_sampling
        if sampling is None:
            return 0.0
        return scheduled_sampling_probability(
            self.counters.update, sampling.start, sampling.end, sampling.probability
        )

    def save(self) -> None:
        """Write the checkpoint `last`, if this is the first process: what an exact resume needs."""
        if not self.group.is_first:
            return
        tensors: dict[str, dict[str, Tensor]] = {
            "model": self.model.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer),
            "tally": self.running_metrics.tensors(),
        }
        if self.ema is not None:
            tensors["ema"] = self.ema.tensors()
        metadata: dict[str, Any] = {
            "counters": asdict(self.counters),
            "schedule": self.schedule.state(),
            "best": self.best.state(),
            "stopping": None if self.stopping is None else self.stopping.state(),
            "divergence": self.divergence.state(),
            "metrics_end": self.reporter.metrics_end,
            "data": self.data_identity,
        }
        save_checkpoint(self.run.checkpoint(LAST), tensors, metadata)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Put everything but the counters, which are there, back to where `save` was called.

        Args:
            checkpoint: from `load_state`.

        Raises:
            RunError: a part of it does not fit this training; nothing of it is used then.
            ConfigError: the schedule cannot be continued with these options.
        """
        tensors, metadata = checkpoint.tensors, checkpoint.metadata
        require_same_tensors(self.run, "tally", tensors["tally"], self.running_metrics.tensors())
        needed = optimizer_shapes(self.optimizer, tensors["optimizer"])
        require_same_tensors(self.run, "optimizer", tensors["optimizer"], needed)
        if self.ema is not None:
            require_same_tensors(self.run, "ema", tensors["ema"], self.ema.tensors())
        require_same_schedule(self.run, metadata["schedule"], self.schedule.state())
        self.model.load_state_dict(tensors["model"])
        restore_optimizer(self.optimizer, tensors["optimizer"])
        self.running_metrics.restore(tensors["tally"])
        if self.ema is not None:
            self.ema.restore(tensors["ema"])
        # What the first checkpoints do not say stays as it is.
        schedule = {**self.schedule.state(), **metadata["schedule"]}
        self.schedule.restore(schedule, self.counters.update)
        self.best.restore(metadata["best"])
        if "divergence" in metadata:  # checkpoints of former versions have none
            self.divergence.restore(metadata["divergence"])
        if self.stopping is not None:
            self.stopping.restore(metadata["stopping"])
