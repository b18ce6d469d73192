"""From a configuration to a training that can start or resume."""

from nmt.build.model import build_model
from nmt.build.search import build_search
from nmt.config.experiment import Config
from nmt.config.registry import METRICS, OPTIMIZERS, SCHEDULES
from nmt.config.training import TrainingConfig
from nmt.core.errors import ConfigError, RunError
from nmt.data.loader import DataLoader
from nmt.distributed.process_group import ProcessGroup
from nmt.nn.model import Model
from nmt.runs.checkpoint import Checkpoint
from nmt.runs.run import RunDirectory
from nmt.training.build_validator import build_validator
from nmt.training.divergence import DivergenceDetector
from nmt.training.early_stopping import MetricTracker
from nmt.training.fine_tuning import load_pretrained_weights
from nmt.training.logs.reporter import Reporter, SilentReporter
from nmt.training.logs.running_metrics import RunningMetrics
from nmt.training.objective.objective import build_objective
from nmt.training.optim.ema import ExponentialMovingAverage
from nmt.training.optim.optimizers import Optimizer
from nmt.training.optim.schedules import Schedule
from nmt.training.prepare_data import PreparedData
from nmt.training.resume_checks import DataIdentity, data_identity, require_same_data
from nmt.training.snapshots import Snapshots
from nmt.training.state import NEVER_VALIDATED, Counters, TrainingState


def build_state(
    config: Config,
    run: RunDirectory,
    data: PreparedData,
    checkpoint: Checkpoint | None,
    group: ProcessGroup | None = None,
) -> TrainingState:
    """Build all parts of a training, restored from a checkpoint where there is one.

    Draws the first weights from torch's global generator.

    Args:
        config: the experiment.
        run: its folder.
        data: tokenizers and batches.
        checkpoint: where to continue; None: from the beginning.
        group: the processes that train together; None: only this one.

    Raises:
        UserError: what a user wrote cannot be trained with, and `prepare_data` has not refused it;
            nothing of the run is changed before, or by this.
    """
    identity = data_identity(config, data.tokenizers, data.loader)
    if checkpoint is not None:
        require_same_data(config, run, checkpoint.metadata["data"], identity)
    # What it refuses is refused now, not at the end, where it is used.
    build_search(config.decoding, data.tokenizers.target)
    state = _new_state(config, run, data, identity, checkpoint, group or ProcessGroup())
    if checkpoint is not None:
        state.restore(checkpoint)
    return state


def _new_state(
    config: Config,
    run: RunDirectory,
    data: PreparedData,
    identity: DataIdentity,
    checkpoint: Checkpoint | None,
    group: ProcessGroup,
) -> TrainingState:
    """Return the parts as they start, with the counters of the checkpoint."""
    training, device = config.training, data.device
    model = _model(config, data, is_new=checkpoint is None)
    optimizer: Optimizer = OPTIMIZERS.create(training.optimizer, model)
    counters, num_batches = _counters(config, checkpoint, data.loader)
    total_updates = count_updates(training, num_batches)
    schedule: Schedule = SCHEDULES.create(training.schedule, total_updates)
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
        ema=_moving_average(training, model),
        validator=build_validator(config, run, model, data, group),
        best=_metric_tracker(training, training.validation.best),
        stopping=_stopping(training),
        running_metrics=RunningMetrics(device),
        divergence=DivergenceDetector(len(data.tokenizers.target), schedule.warmup, device),
        snapshots=_snapshots(training, run),
        reporter=_reporter(config, run, total_updates, checkpoint, is_silent=not group.is_first),
        data_identity=identity,
        counters=counters,
    )


def _model(config: Config, data: PreparedData, *, is_new: bool) -> Model:
    tokenizers = data.tokenizers
    model = build_model(config.model, *tokenizers.sizes)
    if is_new and config.start_from is not None:
        load_pretrained_weights(config, model, tokenizers)
    return model.to(data.device)


def _moving_average(training: TrainingConfig, model: Model) -> ExponentialMovingAverage | None:
    decay = training.ema_decay
    return None if decay is None else ExponentialMovingAverage(model, decay)


def _counters(
    config: Config, checkpoint: Checkpoint | None, loader: DataLoader
) -> tuple[Counters, int]:
    """Where training is, and the batches of the first epoch, which are counted once in a run."""
    if checkpoint is not None:
        counters = _saved_counters(checkpoint)
    elif config.start_from is None:
        counters = Counters()
    else:
        counters = Counters(
            validated_at=NEVER_VALIDATED
        )  # what it starts with competes for the best
    if counters.first_epoch_batches is None:
        counters.first_epoch_batches = loader.num_batches(1)
    if counters.first_epoch_batches == 0:
        raise no_sentences(epoch=1)
    return counters, counters.first_epoch_batches


def _saved_counters(checkpoint: Checkpoint) -> Counters:
    try:
        return Counters(**checkpoint.metadata["counters"])
    except TypeError as error:
        raise RunError(
            f"--resume: the counters of the checkpoint are not known here ({error}); use the "
            "version of nmt that wrote it"
        ) from None


def no_sentences(epoch: int) -> ConfigError:
    """The error of an epoch for which no corpus gives a pair."""
    return ConfigError(f"data.train: epoch {epoch} has no sentences: give a corpus a larger weight")


def count_updates(config: TrainingConfig, batches_per_epoch: int) -> int | None:
    """How many updates training can have, by its limits; None where there are none.

    Args:
        config: holds the limits.
        batches_per_epoch: of the first epoch; the others are taken to be as long.
    """
    limits = []
    if config.max_epochs is not None:
        limits.append(-(-batches_per_epoch // config.accumulate) * config.max_epochs)
    if config.max_updates is not None:
        limits.append(config.max_updates)
    return min(limits, default=None)


def _stopping(training: TrainingConfig) -> MetricTracker | None:
    early = training.early_stopping
    return None if early is None else _metric_tracker(training, early.metric)


def _snapshots(training: TrainingConfig, run: RunDirectory) -> Snapshots:
    return Snapshots(run, max(training.checkpoints.keep_last, training.checkpoints.average_last))


def _metric_tracker(training: TrainingConfig, label: str) -> MetricTracker:
    if label == "loss":
        return MetricTracker(label, higher_is_better=False)
    higher = METRICS.classes[training.validation.find_metric(label).name].higher_is_better
    return MetricTracker(label, higher_is_better=higher, perfect=100.0 if higher else 0.0)


def _reporter(
    config: Config,
    run: RunDirectory,
    total_updates: int | None,
    checkpoint: Checkpoint | None,
    *,
    is_silent: bool,
) -> Reporter:
    update, end = 0, 0
    if checkpoint is not None:
        update = checkpoint.metadata["counters"]["update"]
        end = checkpoint.metadata["metrics_end"]
    kind = SilentReporter if is_silent else Reporter
    return kind(
        metrics=run.metrics,
        metrics_end=end,
        curves=run.plots / "learning_curves.png",
        tensorboard=run.tensorboard if config.training.tensorboard else None,
        total_updates=total_updates,
        first_update=update,
    )
