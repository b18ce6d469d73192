"""Training: the loop, and the run around it."""

import logging
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass

from nmt.config.experiment import Config
from nmt.config.file import dump_config, load_config
from nmt.core.batch import LocalUpdate
from nmt.data.shard import Shard
from nmt.distributed.process_group import LostProcessError, ProcessGroup
from nmt.evaluation.metric import Score
from nmt.runs.checkpoint import Checkpoint, is_checkpoint
from nmt.runs.directory import LAST, RunDirectory
from nmt.training.build_state import build_state, no_sentences
from nmt.training.build_validator import describe_validation
from nmt.training.callbacks import (
    log_start,
    log_training,
    reason_to_stop,
    stop_after_bad_updates,
    stop_if_diverged,
    validate,
)
from nmt.training.finishing import finish, has_results
from nmt.training.logs.environment import write_environment
from nmt.training.logs.reporter import log_to_file
from nmt.training.logs.timer import Timer
from nmt.training.oom_splitting import (
    AT_A_STEP,
    IN_A_VALIDATION,
    GradientAccumulator,
    explain_out_of_memory,
)
from nmt.training.optim.all_reduce import GRADIENT_DTYPES, all_reduce_gradients
from nmt.training.optim.optimizers import apply_gradients
from nmt.training.prepare_data import (
    PreparedData,
    prepare_data,
    resolve_auto,
    resolve_auto_from_run,
)
from nmt.training.process_setup import seed_everything, set_up_process
from nmt.training.rank_checks import require_same_start
from nmt.training.resume_checks import require_best, require_same, require_untrained
from nmt.training.saved_state import load_state
from nmt.training.signals import Interrupted, Interruption, catch_signals
from nmt.training.state import TrainingState

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """How a training ended.

    Attributes:
        reason: why, in words.
        update: updates made, all legs of the run together.
        best: the best value of the metric that the best checkpoint was chosen by, if any.
        scores: of the test set; empty where there is none, and where the run is not finished.
        signal: what interrupted it (the run can be resumed); None where it came to its end.
    """

    reason: str
    update: int
    best: float | None
    scores: tuple[Score, ...] = ()
    signal: int | None = None


def train(
    config: Config,
    run: RunDirectory,
    resume: bool = False,
    data: PreparedData | None = None,
    group: ProcessGroup | None = None,
    is_held: bool = False,
) -> TrainingResult:
    """Do everything that a configuration implies, in a run directory made for it.

    Makes tokenizers and encoded corpora where there are none, trains until a limit or early
    stopping, and scores the best model on the test set. The first SIGINT or SIGTERM finishes the
    update, saves and returns; a second one has its usual effect (see `catch_signals`).

    Args:
        config: the experiment.
        run: from `RunDirectory.create`.
        resume: go on from the checkpoint `last`, bit for bit on a CPU; from the start where the
            run had not come to the first one. A finished run is left alone.
        data: of this run, where it has been gathered before.
        group: the processes that train together, each of which calls this; None: this one alone.
            The first writes, into a folder that all of them can read.
        is_held: the caller is within `run.held()`, which is entered here otherwise.

    Raises:
        UserError: something that a person can mend, in one line.
    """
    group = group or ProcessGroup()
    set_up_process(config.training.num_threads)
    config = resolve_auto_from_run(config, run)
    before = load_config(run.config) if resume else config
    changed = require_same(before, config)
    with ExitStack() as stack:
        if group.is_first:
            if not is_held:
                stack.enter_context(run.held())
            text = run.config.read_text(encoding="utf-8") if resume else dump_config(before)
            run.write_config(text)  # where that cannot be done nothing else is
            stack.enter_context(log_to_file(run.log))
        checkpoint = _last_checkpoint(config, run) if resume else None
        seed_everything(config.seed)
        data = _gather_in_turn(config, before, run, data, group, checkpoint is not None)
        config = resolve_auto(config, data)
        state = build_state(config, run, data, checkpoint, group)
        require_best(state.run, state.best)
        update = state.counters.update
        require_same_start(group, state.data_identity, data.batch_tokens, update, state.model)
        if group.is_first:
            run.write_config(dump_config(config))  # not before nothing is left that is refused
            write_environment(run.environment, state.device, state.precision, group.size)
        if (difference := describe_validation(config)) is not None:
            logger.info("%s", difference)
        if changed:
            logger.info("goes on with other options: %s", ", ".join(changed))
        with state.reporter, catch_signals() as interruption:
            return _train(config, state, interruption)


def _train(config: Config, state: TrainingState, interruption: Interruption) -> TrainingResult:
    counters = state.counters
    reason = reason_to_stop(state)
    if counters.is_finished and reason is not None and has_results(config, state):
        logger.info("the run is finished already: %s; nothing to do", reason)
        return TrainingResult(reason, counters.update, state.best.best)
    log_start(state)
    counters.is_finished = False  # a limit was raised, and what is broken off now is not finished
    try:
        with explain_out_of_memory(IN_A_VALIDATION):
            reason = Trainer(state, interruption).run()
            logger.info("training ends at update %s: %s", f"{counters.update:,}", reason)
            scores = finish(config, state, reason, interruption)
    except Interrupted:
        state.save()
        logger.info("interrupted at update %s, all is saved: --resume goes on", counters.update)
        return TrainingResult(
            "interrupted", counters.update, state.best.best, signal=interruption.signal
        )
    except LostProcessError as error:
        if not is_checkpoint(state.run.checkpoint(LAST)):
            raise
        raise LostProcessError(
            f"{error}; where torchrun does not start anew by itself, --resume goes on from what "
            "was saved"
        ) from None
    return TrainingResult(reason, counters.update, state.best.best, tuple(scores))


def _gather_in_turn(
    config: Config,
    before: Config,
    run: RunDirectory,
    data: PreparedData | None,
    group: ProcessGroup,
    is_begun: bool,
) -> PreparedData:
    """The data of each process; the others find made what the first has made.

    What it found for options that say auto they find in the run's configuration, in which all else
    stays as it was: `before`.
    """
    shard = Shard(group.rank, group.size)
    with group.rank_zero_first():
        if group.is_first and data is None:
            data = prepare_data(config, run, shard=shard, is_begun=is_begun)
            resolved = resolve_auto(before, data)
            if resolved != before:
                run.write_config(dump_config(resolved))
    if data is None:
        config = resolve_auto_from_run(config, run)
        data = prepare_data(config, run, shard=shard, is_begun=is_begun)
    return data


def _last_checkpoint(config: Config, run: RunDirectory) -> Checkpoint | None:
    last = run.checkpoint(LAST)
    # A folder that is no checkpoint is a damaged one: a save puts it there whole.
    if is_checkpoint(last) or last.exists():
        return load_state(config, run)
    require_untrained(run)
    logger.info("%s: no checkpoint yet; starting from the beginning", run.path)
    return None


class Trainer:
    """Makes updates until a limit or early stopping says that it is enough.

    Args:
        state: the parts, fresh or restored; everything that changes is in it.
        interruption: whether somebody asks for an end.
    """

    def __init__(self, state: TrainingState, interruption: Interruption) -> None:
        self._state = state
        self._config = state.config
        self._counters = state.counters
        self._interruption = interruption
        self._resumed_at = state.counters.update
        self._has_saved = self._resumed_at > 0
        self._gradients = GradientAccumulator(state)
        self._timer = Timer(state.device)

    def run(self) -> str:
        """Train, and say why it is the end; raises `Interrupted` where somebody asked for it."""
        self._timer.restart()
        # The loader, as after the last batch of an epoch it prepares one that need not be wanted.
        with closing(self._state.loader), closing(self._updates()) as updates:
            while True:
                self._validate_or_save()
                if self._is_interrupted():
                    self._note_progress()
                    raise Interrupted
                if (reason := reason_to_stop(self._state)) is not None:
                    return reason
                update = next(updates)
                self._update(update)
                self._count(update)
                if self._counters.update % self._config.log_every == 0:
                    self._note_progress()
                    log_training(self._state)
                if self._bad_updates_are_due():
                    stop_after_bad_updates(self._state)
                stop_if_diverged(self._state)

    def _validate_or_save(self) -> None:
        """Where one is due; the time that it takes is none of the training's."""
        validation_is_due = self._validation_is_due()
        if validation_is_due or self._save_is_due():
            self._note_progress()
            if validation_is_due:
                if not self._has_saved:  # there is never a `best` without a `last`
                    self._state.save()
                validate(self._state, self._interruption)
            self._state.save()
            self._has_saved = True
            self._timer.restart()

    def _is_interrupted(self) -> bool:
        """Whether any process was asked for an end, so that all come to it at the same update."""
        signal = self._state.group.all_reduce_max(self._interruption.signal or 0)
        if signal:  # else what came in the meantime stays noted, for the next time
            self._interruption.signal = signal
        return signal > 0

    def _note_progress(self) -> None:
        """Count time and split batches since the last call, of all; waits for the device."""
        self._counters.seconds += self._timer.restart()
        self._gradients.count_split()

    def _updates(self) -> Generator[LocalUpdate, None, None]:
        """What this process computes of each update from here on."""
        counters, loader = self._counters, self._state.loader
        while True:
            epoch = counters.epoch
            yield from loader.updates(epoch, counters.batch)
            if counters.epoch == epoch:
                raise no_sentences(epoch)

    def _update(self, update: LocalUpdate) -> None:
        """One step on the gradient of all batches of an update, divided by all their tokens."""
        state, counters, num_tokens = self._state, self._counters, update.num_target_tokens
        counters.update += 1
        state.model.train()
        state.optimizer.set_learning_rate(state.learning_rate())
        sums = self._gradients.make(update.batches, num_tokens)
        with explain_out_of_memory(AT_A_STEP):
            all_reduce_gradients(
                state.group, state.model, sums, GRADIENT_DTYPES[self._config.ranks.gradients]
            )
            objective, likelihood = sums.unbind()
            norm = apply_gradients(state.optimizer, objective, self._config.clip_norm)
        if state.ema is not None:
            state.ema.update(counters.update)
        state.running_metrics.add(objective, likelihood, num_tokens, norm)
        state.divergence.add(likelihood, num_tokens, norm)

    def _count(self, update: LocalUpdate) -> None:
        counters = self._counters
        counters.num_tokens += update.num_target_tokens
        counters.batch += update.num_batches
        if update.is_last:
            counters.epoch += 1
            counters.batch = 0
        self._state.reporter.advance()

    def _validation_is_due(self) -> bool:
        counters, every = self._counters, self._config.validation.every
        if counters.validated_at == counters.update:
            return False
        is_time = counters.batch == 0 if every is None else counters.update % every == 0
        return is_time or reason_to_stop(self._state) is not None

    def _save_is_due(self) -> bool:
        every, update = self._config.checkpoints.every, self._counters.update
        return every is not None and update > self._resumed_at and update % every == 0

    def _bad_updates_are_due(self) -> bool:
        """At each update where looking costs nothing; else seldom, and before what is saved."""
        often = self._state.device.type == "cpu"
        return (
            often
            or self._counters.update % self._config.max_bad_updates == 0
            or self._save_is_due()
            or self._validation_is_due()
        )
