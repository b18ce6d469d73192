"""Construction of the initial training state from a configuration."""

from nmt.build.model import build_model
from nmt.config.experiment import Config
from nmt.config.registry import METRICS, OPTIMIZERS, SCHEDULES
from nmt.config.training import TrainingConfig
from nmt.distributed.process_group import ProcessGroup
from nmt.inference.loading import build_search
from nmt.nn.model import Model
from nmt.runs.run import RunDirectory
from nmt.training.divergence import DivergenceDetector
from nmt.training.early_stopping import MetricTracker
from nmt.training.fine_tuning import load_pretrained_weights
from nmt.training.logs.reporter import Reporter
from nmt.training.logs.running_metrics import RunningMetrics
from nmt.training.objective.objective import build_objective
from nmt.training.optim.averaging import ExponentialMovingAverage
from nmt.training.optim.optimizer import Optimizer
from nmt.training.optim.schedule import Schedule
from nmt.training.prepare_data import PreparedData
from nmt.training.resume_checks import data_identity
from nmt.training.snapshots import Snapshots
from nmt.training.state import NEVER_VALIDATED, Counters, TrainingState, no_sentences
from nmt.training.validation import build_validator


def build_state(
    config: Config,
    run: RunDirectory,
    data: PreparedData,
    group: ProcessGroup | None = None,
    *,
    counters: Counters | None = None,
    metrics_end: int = 0,
) -> TrainingState:
    """Build all parts of a training in their initial state.

    The initial weights are drawn from torch's global generator.

    Args:
        config: the experiment.
        run: its folder.
        data: tokenizers and batches.
        group: the processes that train together; None: only this one.
        counters: counters of a resumed training, whose other state is restored later; None: a new
            training.
        metrics_end: bytes of the metrics file to keep.

    Raises:
        UserError: the configuration cannot be used, and `prepare_data` has not detected it; the run
            is not changed.
    """
    group = group or ProcessGroup()
    # Report invalid decoding options now, not at the end, where they are used.
    build_search(config.decoding, data.tokenizers.target)
    model = build_model(config.model, *data.tokenizers.sizes)
    if counters is None:
        counters = _new_counters(config)
        if data.base is not None:
            load_pretrained_weights(config, data.base, model, data.tokenizers)
    if counters.first_epoch_batches is None:  # counted only once in a run
        counters.first_epoch_batches = data.loader.num_batches(1)
    if counters.first_epoch_batches == 0:
        raise no_sentences(epoch=1)
    total_updates = count_updates(config.training, counters.first_epoch_batches)
    reporter = Reporter(
        run,
        metrics_end=metrics_end,
        total_updates=total_updates,
        first_update=counters.update,
        has_tensorboard=config.training.tensorboard,
        is_silent=not group.is_first,
    )
    return _assemble(config, run, data, group, model.to(data.device), counters, reporter)


def _assemble(
    config: Config,
    run: RunDirectory,
    data: PreparedData,
    group: ProcessGroup,
    model: Model,
    counters: Counters,
    reporter: Reporter,
) -> TrainingState:
    training, device, kept = config.training, data.device, config.training.checkpoints
    optimizer: Optimizer = OPTIMIZERS.create(training.optimizer, model)
    if training.ranks.shard_optimizer and group.size > 1:
        from nmt.training.optim.zero import ShardedOptimizer  # imports more of torch, with warnings

        optimizer = ShardedOptimizer(optimizer, group)
    schedule: Schedule = SCHEDULES.create(training.schedule, reporter.total_updates)
    decay, stopping = training.ema_decay, training.early_stopping
    return TrainingState(
        config=training,
        group=group,
        seed=config.seed,
        run=run,
        device=device,
        precision=data.precision,
        model=model,
        loader=data.loader,
        optimizer=optimizer,
        base_learning_rate=optimizer.param_groups[0]["lr"],
        schedule=schedule,
        objective=build_objective(training, data.precision),
        ema=None if decay is None else ExponentialMovingAverage(model, decay),
        validator=build_validator(config, run, model, data, group),
        best=_metric_tracker(training, training.validation.best),
        stopping=None if stopping is None else _metric_tracker(training, stopping.metric),
        running_metrics=RunningMetrics(device),
        divergence=DivergenceDetector(len(data.tokenizers.target), schedule.warmup),
        snapshots=Snapshots(run, max(kept.keep_last, kept.average_last)),
        reporter=reporter,
        data_identity=data_identity(config, data.tokenizers, data.loader),
        counters=counters,
    )


def _new_counters(config: Config) -> Counters:
    return Counters(
        update=0,
        epoch=1,
        batch=0,
        num_tokens=0,
        seconds=0.0,
        logged_tokens=0,
        logged_seconds=0.0,
        # Pretrained weights are validated before training, and can be the best.
        validated_at=0 if config.start_from is None else NEVER_VALIDATED,
        first_epoch_batches=None,
    )


def count_updates(config: TrainingConfig, batches_per_epoch: int) -> int | None:
    """Return the maximum number of updates, from the limits of training; None: no limits.

    Args:
        config: holds the limits.
        batches_per_epoch: batches of the first epoch, taken as an estimate for all epochs.
    """
    limits = []
    if config.max_epochs is not None:
        limits.append(-(-batches_per_epoch // config.accumulate) * config.max_epochs)
    if config.max_updates is not None:
        limits.append(config.max_updates)
    return min(limits, default=None)


def _metric_tracker(training: TrainingConfig, label: str) -> MetricTracker:
    if label == "loss":
        return MetricTracker(label, higher_is_better=False)
    higher = METRICS.find(training.validation.find_metric(label).name).higher_is_better
    return MetricTracker(label, higher_is_better=higher, perfect=100.0 if higher else 0.0)
