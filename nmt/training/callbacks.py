"""Periodic actions of a training: validation, logging of metrics, and the divergence check."""

import logging
import math
import time
from typing import Final

from nmt.core.console import format_duration
from nmt.core.errors import UserError
from nmt.runs.checkpoint import is_checkpoint
from nmt.runs.run import BEST
from nmt.system.files import write_text
from nmt.training.rank_checks import require_same_weights
from nmt.training.signals import Interruption
from nmt.training.state import TrainingState
from nmt.training.validation import Validation

logger = logging.getLogger(__name__)

_DRAWING_PAUSE: Final = 60.0  # seconds


def log_start(state: TrainingState) -> None:
    """Log what is trained, in which folder, and up to which limits."""
    size = sum(parameter.numel() for parameter in state.model.parameters())
    precision = str(state.precision).removeprefix("torch.")
    processes = f", {state.group.size:,} processes" if state.group.size > 1 else ""
    start = f", from update {state.counters.update:,}" if state.counters.update else ""
    logger.info(
        f"{state.run.path}: {size:,} parameters, {state.device}, {precision}{processes}"
        f"{_limits(state)}{start}"
    )


def validate(state: TrainingState, interruption: Interruption) -> None:
    """Validate the weights, update the schedule and early stopping, and save the best weights.

    All processes compute the validation and use the result of the first process, which saves the
    weights. Without validation data, the latest weights are the best.

    Raises:
        Interrupted: a stop was requested; nothing is changed.
    """
    started = time.perf_counter()
    update = state.counters.update
    require_same_weights(state.group, state.model)
    with state.evaluation_weights():
        weights = state.model.state_dict()
        facts: dict[str, object] = {"update": update}
        improved = True
        if state.validator is not None:
            validation = state.validator(interruption)
            facts.update(loss=validation.loss, scores=validation.as_dict())
            improved = _observe(state, validation)
            _report(state, validation, improved, time.perf_counter() - started)
            _write_translations(state, validation)
        if state.group.is_first:
            state.snapshots.save(update, weights, facts)
            if improved:
                state.snapshots.save_best(weights, facts)
    state.counters.validated_at = update


def log_training(state: TrainingState) -> None:
    """Report the metrics of the updates since the last call."""
    counters = state.counters
    seconds = counters.seconds - counters.logged_seconds
    tokens = counters.num_tokens - counters.logged_tokens
    counters.logged_seconds, counters.logged_tokens = counters.seconds, counters.num_tokens
    means = state.running_metrics.read()
    state.reporter.training(
        counters.update,
        {
            "epoch": counters.epoch,
            "loss": means["loss"],
            "objective": means["objective"],
            "learning_rate": state.learning_rate(),
            "gradient_norm": means["gradient_norm"],
            "num_skipped": means["num_skipped"],
            "num_split": counters.num_split,
            "feed_own": state.sampling_probability(),
            "num_tokens": counters.num_tokens,
            "tokens_per_second": tokens / seconds,
            "seconds": round(counters.seconds, 3),
        },
    )


def stop_if_diverged(state: TrainingState) -> None:
    """Stop if the loss has risen too far by the end of a window; saved checkpoints are kept.

    All processes have the same sums, so all stop at the same update.

    Raises:
        UserError: the mean loss of the last 100 updates is too high to recover from.
    """
    loss, num_tokens = state.running_metrics.window()
    state.running_metrics.start_window()
    divergence = state.divergence.check(
        state.counters.update, loss, num_tokens, state.sampling_probability()
    )
    if divergence is None:
        return
    kept = "no model was saved before"
    if is_checkpoint(state.run.checkpoint(BEST)):
        score = "" if state.best.best is None else f" ({state.best})"
        kept = f"the best model before{score} is kept"
    raise UserError(
        f"{state.run.path}: training diverged: {divergence}, and {kept}; lower "
        f"training.optimizer.learning_rate ({state.base_learning_rate:g}) or training.clip_norm, "
        "or raise training.schedule.warmup, and start another run"
    )


def _observe(state: TrainingState, validation: Validation) -> bool:
    """Update the schedule and early stopping; return whether the validation is the best so far."""
    update = state.counters.update
    if state.stopping is not None:
        value = validation.value(state.stopping.metric)
        state.stopping.observe(value, update, validation.loss)
    was_perfect = state.best.is_perfect
    improved = state.best.observe(validation.value(state.best.metric), update, validation.loss)
    if state.best.is_perfect and not was_perfect:
        logger.warning(
            f"training.validation.best: {state.best.metric} is perfect on the validation set, so "
            "the loss decides from now on; use a larger validation set, or best: loss"
        )
    state.schedule.observe(improved)
    return improved


def _write_translations(state: TrainingState, validation: Validation) -> None:
    """Save the translations of a validation in the run, for later scoring or comparison."""
    if state.group.is_first and validation.translations:
        path = state.run.translations / f"valid-{state.counters.update}.txt"
        path.parent.mkdir(exist_ok=True)
        write_text(path, "".join(f"{text}\n" for text in validation.translations))


def _report(state: TrainingState, validation: Validation, improved: bool, seconds: float) -> None:
    reporter, counters = state.reporter, state.counters
    losses = {"loss": validation.loss, "perplexity": validation.perplexity}
    reporter.validation(counters.update, losses, validation.as_dict())
    for sample in validation.samples if improved else ():
        logger.info("%s", sample)
    note = " - the best so far" if improved else f" - best {state.best}"
    logger.info(
        f"validation at update {counters.update:,} ({_epoch(state)}): {validation}{note}; "
        f"took {format_duration(seconds)}; {_training_time(state)}"
    )
    num_tokens = state.model.target_embedding.table.num_embeddings
    if validation.loss > (guess := math.log(num_tokens)):
        logger.warning(
            f"loss: {validation.loss:.4f} is worse than a uniform guess among {num_tokens:,} "
            f"tokens ({guess:.4f}); if it stays there, lower training.optimizer.learning_rate and "
            "start again"
        )
    reporter.draw_curves(_DRAWING_PAUSE)


def _limits(state: TrainingState) -> str:
    """Describe the limits of training: `, 20 epochs of 59 updates`."""
    config, num_batches = state.config, state.counters.first_epoch_batches
    limits = ""
    if config.max_epochs is not None:
        limits += f", {_count(config.max_epochs, 'epoch')}"
        if num_batches is not None:
            limits += f" of {_count(-(-num_batches // config.accumulate), 'update')}"
    if config.max_updates is not None:
        limits += f", at most {_count(config.max_updates, 'update')}"
    return limits


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def _epoch(state: TrainingState) -> str:
    """Describe the epoch, which may just have ended: `epoch 7 of 20`."""
    counters, most = state.counters, state.config.max_epochs
    number = counters.epoch if counters.batch > 0 else counters.epoch - 1
    return f"epoch {number:,}" if most is None else f"epoch {number:,} of {most:,}"


def _training_time(state: TrainingState) -> str:
    """Return the elapsed and the remaining training time, without validations and saves."""
    counters, total = state.counters, state.reporter.total_updates
    passed = f"trained for {format_duration(counters.seconds)}"
    if total is None or counters.update == 0:
        return passed
    left = counters.seconds / counters.update * max(0, total - counters.update)
    return f"{passed}, about {format_duration(left)} left at most" if left else passed
