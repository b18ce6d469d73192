"""Training of a run: the steps before and after the training loop."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

from nmt.config.experiment import Config
from nmt.config.file import dump_config, load_config
from nmt.core.errors import RunError, os_advice
from nmt.data.batching import Shard
from nmt.distributed.process_group import LostProcessError, ProcessGroup
from nmt.evaluation.metric import Score
from nmt.runs.checkpoint import Checkpoint, is_checkpoint
from nmt.runs.plugin_copies import write_copies
from nmt.runs.run import LAST, RunDirectory
from nmt.system.memory import explain_out_of_memory
from nmt.system.process import set_up_for_training
from nmt.training.callbacks import log_start
from nmt.training.finishing import finish, has_results
from nmt.training.logs.environment import write_environment
from nmt.training.logs.reporter import log_to_file
from nmt.training.new_run import begin_or_resume
from nmt.training.new_state import build_state
from nmt.training.prepare_data import PreparedData, prepare_data, resolve_auto, resolve_auto_from
from nmt.training.rank_checks import require_same_start
from nmt.training.resume_checks import (
    require_best,
    require_same,
    require_untrained,
)
from nmt.training.saved_state import load_state, restore_state, save_state
from nmt.training.signals import Interrupted, Interruption, catch_signals
from nmt.training.state import TrainingState, seed_everything
from nmt.training.trainer import Trainer
from nmt.training.validation import describe_search

logger = logging.getLogger(__name__)

_NO_MEMORY_FOR_VALIDATION: Final = (
    "validation: out of memory; lower decoding.batch_tokens, the batch size of translation, or "
    "use a smaller model; --resume continues from the last checkpoint"
)


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training.

    Attributes:
        reason: description of why training ended.
        update: number of updates, including those before a resume.
        best: best value of the metric that selects the best checkpoint, if any.
        scores: test scores; empty without a test set, or if the run is not finished.
        signal: the signal that interrupted training (the run can be resumed); None: it was not
            interrupted.
    """

    reason: str
    update: int
    best: float | None
    scores: tuple[Score, ...] = ()
    signal: int | None = None


def train(
    config: Config,
    *,
    resume: bool = False,
    overwrite: bool = False,
    group: ProcessGroup | None = None,
) -> TrainingResult:
    """Train a model as a configuration describes, in the run folder that it names.

    Makes missing tokenizers and encoded corpora, trains until a limit or early stopping, and scores
    the best model on the test set. After the first SIGINT or SIGTERM, the update is finished and
    saved, and the function returns. A second signal has its usual effect (see `catch_signals`).

    Args:
        config: the experiment.
        resume: continue the existing run from its checkpoint `last`, bit for bit on a CPU, or from
            the start if there is no checkpoint yet. A finished run is left unchanged.
        overwrite: replace the existing run by a new one.
        group: the processes that train together, each of which must call this; None: only this one.
            The first process writes to a folder that all of them can read.

    Raises:
        UserError: an error that the user can correct, described in one line.
    """
    group = group or ProcessGroup()
    set_up_for_training(config.training.num_threads)
    with (
        explain_disk_errors(config.run),
        begin_or_resume(config, group, resume=resume, overwrite=overwrite) as begun,
    ):
        return train_in_folder(config, *begun, group)


def train_in_folder(
    config: Config, run: RunDirectory, resume: bool, data: PreparedData | None, group: ProcessGroup
) -> TrainingResult:
    """Train in a locked folder; see `begin_or_resume`."""
    before = load_config(run.config)
    config = resolve_auto_from(config, before)
    changed = require_same(before, config)
    if group.is_first:
        run.write_config(run.config.read_text(encoding="utf-8"))  # fail early if not writable
    with log_to_file(run.log) if group.is_first else nullcontext():
        run.warn_of_changed_plugins()
        checkpoint = load_last_checkpoint(config, run) if resume else None
        seed_everything(config.seed)
        data = prepare_in_turn(config, before, run, data, group, is_begun=checkpoint is not None)
        config = resolve_auto(config, data)
        if checkpoint is None:
            state = build_state(config, run, data, group)
        else:
            state = restore_state(config, run, data, checkpoint, group)
        require_best(run, state.best)
        require_same_start(
            group, state.data_identity, data.batch_tokens, state.counters.update, state.model
        )
        record_start(config, state, changed)
        with state.reporter.opened(), catch_signals() as interruption:
            return train_to_the_end(config, state, interruption)


def load_last_checkpoint(config: Config, run: RunDirectory) -> Checkpoint | None:
    """Return the checkpoint that a resume continues from; None: the run has not trained yet."""
    last = run.checkpoint(LAST)
    # Saves are atomic, so a folder that is not a checkpoint is a corrupted one.
    if is_checkpoint(last) or last.exists():
        return load_state(config, run)
    require_untrained(run)
    logger.info("%s: no checkpoint yet; starting from the beginning", run.path)
    return None


def prepare_in_turn(
    config: Config,
    before: Config,
    run: RunDirectory,
    data: PreparedData | None,
    group: ProcessGroup,
    *,
    is_begun: bool,
) -> PreparedData:
    """Prepare the data of each process; the first process goes first, the others read its files.

    The first process resolves auto options; the others read them from the run's configuration.

    Args:
        config: the experiment.
        before: the saved configuration of the run, in which only auto options are replaced.
        run: its folder.
        data: data of this process, if already prepared.
        group: the processes that train together.
        is_begun: see `prepare_data`.
    """
    with group.rank_zero_first():
        if not group.is_first:
            config = resolve_auto_from(config, load_config(run.config))
        if data is None:
            data = prepare_data(config, run, shard=Shard(group.rank, group.size), is_begun=is_begun)
        if group.is_first and (resolved := resolve_auto(before, data)) != before:
            run.write_config(dump_config(resolved))
    return data


def record_start(config: Config, state: TrainingState, changed: list[str]) -> None:
    """Write the configuration and the environment, after all checks have passed."""
    if state.group.is_first:
        state.run.write_config(dump_config(config))
        write_copies(state.run.plugin_copies)
        write_environment(state.run.environment, state.device, state.precision, state.group.size)
    if (difference := describe_search(config)) is not None:
        logger.info("%s", difference)
    if changed:
        logger.info("resuming with other options: %s", ", ".join(changed))


def train_to_the_end(
    config: Config, state: TrainingState, interruption: Interruption
) -> TrainingResult:
    """Run the training loop and finish the run, or save it if it is interrupted."""
    counters = state.counters
    reason = state.reason_to_stop()
    if counters.is_finished and reason is not None and has_results(config, state):
        logger.info("the run is already finished: %s; nothing to do", reason)
        return TrainingResult(reason, counters.update, state.best.best)
    log_start(state)
    counters.is_finished = False  # a finished run may continue after a limit was raised
    try:
        with explain_out_of_memory(_NO_MEMORY_FOR_VALIDATION):
            reason = Trainer(state, interruption).run()
            logger.info("training ends at update %s: %s", f"{counters.update:,}", reason)
            scores = finish(config, state, reason, interruption)
    except Interrupted:
        save_state(state)
        logger.info("interrupted at update %s; saved, and --resume continues", counters.update)
        return TrainingResult(
            "interrupted", counters.update, state.best.best, signal=interruption.signal
        )
    except LostProcessError as error:
        if not is_checkpoint(state.run.checkpoint(LAST)):
            raise
        raise LostProcessError(
            f"{error}; if torchrun does not restart, --resume continues from the last checkpoint"
        ) from None
    return TrainingResult(reason, counters.update, state.best.best, tuple(scores))


@contextmanager
def explain_disk_errors(folder: str) -> Iterator[None]:
    """Turn file errors inside the `with` into user errors.

    Args:
        folder: the folder of the run, named if the error does not name a file.

    Raises:
        RunError: replaces an `OSError` about a file or a lack of system resources.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None and os_advice(error) is None:
            raise
        raise RunError(
            f"{error.filename or folder}: {error.strerror}; "
            f"{os_advice(error) or 'change the permissions'}; --resume continues from the last "
            "checkpoint"
        ) from error
