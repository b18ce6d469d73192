"""Training: the loop, and the run around it."""

import logging
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass

from nmt.config.experiment import Config
from nmt.config.file import dump_config, load_config
from nmt.core.batch import LocalUpdate
from nmt.data.shard import Shard
from nmt.distributed.process_group import LostProcessError, ProcessGroup, SingleProcess
from nmt.evaluation.metric import Score
from nmt.runs.checkpoint import Checkpoint, is_checkpoint
from nmt.runs.directory import LAST, RunDirectory
from nmt.training.build_state import assemble, no_sentences
from nmt.training.build_validator import describe_validation
from nmt.training.callbacks import (
    announce,
    give_up_where_all_is_bad,
    log_training,
    reason_to_stop,
    stop_where_diverged,
    validate,
)
from nmt.training.finishing import finish, has_results
from nmt.training.logs.environment import write_environment
from nmt.training.logs.reporter import log_to_file
from nmt.training.logs.timer import Clock
from nmt.training.oom_advice import AT_A_STEP, IN_A_VALIDATION, explained
from nmt.training.oom_splitting import GradientMaker
from nmt.training.optim.all_reduce import SENT_AS, all_reduce_gradients
from nmt.training.optim.optimizers import apply_gradients
from nmt.training.prepare_data import Material, gather, settle, settle_as_before
from nmt.training.process_setup import settle_process
from nmt.training.randomness import seed_everything
from nmt.training.rank_checks import require_same_start
from nmt.training.resume_checks import require_best, require_same, require_untrained
from nmt.training.saved_state import load_state
from nmt.training.signals import Interrupted, Interruption, listen
from nmt.training.state import Engine

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
    material: Material | None = None,
    group: ProcessGroup | None = None,
    is_held: bool = False,
) -> TrainingResult:
    """Do everything that a configuration implies, in a run directory made for it.

    Makes tokenizers and encoded corpora where there are none, trains until a limit or early
    stopping, and scores the best model on the test set. The first SIGINT or SIGTERM finishes the
    update, saves and returns; a second one has its usual effect (see `listen`).

    Args:
        config: the experiment.
        run: from `RunDirectory.create`.
        resume: go on from the checkpoint `last`, bit for bit on a CPU; from the start where the
            run had not come to the first one. A finished run is left alone.
        material: of this run, where it has been gathered before.
        group: the processes that train together, each of which calls this; None: this one alone.
            The first writes, into a folder that all of them can read.
        is_held: the caller is within `run.held()`, which is entered here otherwise.

    Raises:
        UserError: something that a person can mend, in one line.
    """
    group = group or SingleProcess()
    settle_process(config.training.num_threads)
    config = settle_as_before(config, run)
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
        material = _gather_in_turn(config, before, run, material, group, checkpoint is not None)
        config = settle(config, material)
        engine = assemble(config, run, material, checkpoint, group)
        require_best(engine.run, engine.best)
        update = engine.counters.update
        require_same_start(group, engine.data, material.batch_tokens, update, engine.model)
        if group.is_first:
            run.write_config(dump_config(config))  # not before nothing is left that is refused
            write_environment(run.environment, engine.device, engine.precision, group.size)
        if (difference := describe_validation(config)) is not None:
            logger.info("%s", difference)
        if changed:
            logger.info("goes on with other options: %s", ", ".join(changed))
        with engine.reporter, listen() as interruption:
            return _train(config, engine, interruption)


def _train(config: Config, engine: Engine, interruption: Interruption) -> TrainingResult:
    counters = engine.counters
    reason = reason_to_stop(engine)
    if counters.is_finished and reason is not None and has_results(config, engine):
        logger.info("the run is finished already: %s; nothing to do", reason)
        return TrainingResult(reason, counters.update, engine.best.best)
    announce(engine)
    counters.is_finished = False  # a limit was raised, and what is broken off now is not finished
    try:
        with explained(IN_A_VALIDATION):
            reason = Trainer(engine, interruption).run()
            logger.info("training ends at update %s: %s", f"{counters.update:,}", reason)
            scores = finish(config, engine, reason, interruption)
    except Interrupted:
        engine.save()
        logger.info("interrupted at update %s, all is saved: --resume goes on", counters.update)
        return TrainingResult(
            "interrupted", counters.update, engine.best.best, signal=interruption.signal
        )
    except LostProcessError as error:
        if not is_checkpoint(engine.run.checkpoint(LAST)):
            raise
        raise LostProcessError(
            f"{error}; where torchrun does not start anew by itself, --resume goes on from what "
            "was saved"
        ) from None
    return TrainingResult(reason, counters.update, engine.best.best, tuple(scores))


def _gather_in_turn(
    config: Config,
    before: Config,
    run: RunDirectory,
    material: Material | None,
    group: ProcessGroup,
    is_begun: bool,
) -> Material:
    """The material of each process; the others find made what the first has made.

    What it found for options that say auto they find in the run's configuration, in which all else
    stays as it was: `before`.
    """
    shard = Shard(group.rank, group.size)
    with group.rank_zero_first():
        if group.is_first and material is None:
            material = gather(config, run, shard=shard, is_begun=is_begun)
            settled = settle(before, material)
            if settled != before:
                run.write_config(dump_config(settled))
    if material is None:
        config = settle_as_before(config, run)
        material = gather(config, run, shard=shard, is_begun=is_begun)
    return material


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
        engine: the parts, fresh or restored; everything that changes is in it.
        interruption: whether somebody asks for an end.
    """

    def __init__(self, engine: Engine, interruption: Interruption) -> None:
        self._engine = engine
        self._config = engine.config
        self._counters = engine.counters
        self._interruption = interruption
        self._resumed_at = engine.counters.update
        self._has_saved = self._resumed_at > 0
        self._gradients = GradientMaker(engine)
        self._clock = Clock(engine.device)

    def run(self) -> str:
        """Train, and say why it is the end; raises `Interrupted` where somebody asked for it."""
        self._clock.restart()
        # The loader, as after the last batch of an epoch it prepares one that need not be wanted.
        with closing(self._engine.loader), closing(self._updates()) as updates:
            while True:
                self._validate_or_save()
                if self._is_interrupted():
                    self._note_progress()
                    raise Interrupted
                if (reason := reason_to_stop(self._engine)) is not None:
                    return reason
                update = next(updates)
                self._update(update)
                self._count(update)
                if self._counters.update % self._config.log_every == 0:
                    self._note_progress()
                    log_training(self._engine)
                if self._bad_updates_are_due():
                    give_up_where_all_is_bad(self._engine)
                stop_where_diverged(self._engine)

    def _validate_or_save(self) -> None:
        """Where one is due; the time that it takes is none of the training's."""
        validation_is_due = self._validation_is_due()
        if validation_is_due or self._save_is_due():
            self._note_progress()
            if validation_is_due:
                if not self._has_saved:  # there is never a `best` without a `last`
                    self._engine.save()
                validate(self._engine, self._interruption)
            self._engine.save()
            self._has_saved = True
            self._clock.restart()

    def _is_interrupted(self) -> bool:
        """Whether any process was asked for an end, so that all come to it at the same update."""
        signal = self._engine.group.all_reduce_max(self._interruption.signal or 0)
        if signal:  # else what came in the meantime stays noted, for the next time
            self._interruption.signal = signal
        return signal > 0

    def _note_progress(self) -> None:
        """Count time and split batches since the last call, of all; waits for the device."""
        self._counters.seconds += self._clock.restart()
        self._gradients.count_split()

    def _updates(self) -> Generator[LocalUpdate, None, None]:
        """What this process computes of each update from here on."""
        counters, loader = self._counters, self._engine.loader
        while True:
            epoch = counters.epoch
            yield from loader.updates(epoch, counters.batch)
            if counters.epoch == epoch:
                raise no_sentences(epoch)

    def _update(self, update: LocalUpdate) -> None:
        """One step on the gradient of all batches of an update, divided by all their tokens."""
        engine, counters, num_tokens = self._engine, self._counters, update.num_target_tokens
        counters.update += 1
        engine.model.train()
        engine.optimizer.set_learning_rate(engine.learning_rate())
        sums = self._gradients.make(update.batches, num_tokens)
        with explained(AT_A_STEP):
            all_reduce_gradients(
                engine.group, engine.model, sums, SENT_AS[self._config.ranks.gradients]
            )
            objective, likelihood = sums.unbind()
            norm = apply_gradients(engine.optimizer, objective, self._config.clip_norm)
        if engine.ema is not None:
            engine.ema.update(counters.update)
        engine.tally.add(objective, likelihood, num_tokens, norm)
        engine.guard.add(likelihood, num_tokens, norm)

    def _count(self, update: LocalUpdate) -> None:
        counters = self._counters
        counters.num_tokens += update.num_target_tokens
        counters.batch += update.num_batches
        if update.is_last:
            counters.epoch += 1
            counters.batch = 0
        self._engine.reporter.advance()

    def _validation_is_due(self) -> bool:
        counters, every = self._counters, self._config.validation.every
        if counters.validated_at == counters.update:
            return False
        is_time = counters.batch == 0 if every is None else counters.update % every == 0
        return is_time or reason_to_stop(self._engine) is not None

    def _save_is_due(self) -> bool:
        every, update = self._config.checkpoints.every, self._counters.update
        return every is not None and update > self._resumed_at and update % every == 0

    def _bad_updates_are_due(self) -> bool:
        """At each update where looking costs nothing; else seldom, and before what is saved."""
        often = self._engine.device.type == "cpu"
        return (
            often
            or self._counters.update % self._config.max_bad_updates == 0
            or self._save_is_due()
            or self._validation_is_due()
        )
