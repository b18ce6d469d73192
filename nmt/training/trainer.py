"""The training loop: updates, and what is due between two of them."""

from collections.abc import Generator
from contextlib import closing

from nmt.core.batch import LocalUpdate
from nmt.training.build_state import no_sentences
from nmt.training.callbacks import (
    log_training,
    reason_to_stop,
    stop_after_bad_updates,
    stop_if_diverged,
    validate,
)
from nmt.training.logs.timer import Timer
from nmt.training.oom_splitting import AT_A_STEP, GradientAccumulator, explain_out_of_memory
from nmt.training.optim.all_reduce import GRADIENT_DTYPES, all_reduce_gradients
from nmt.training.optim.optimizers import apply_gradients
from nmt.training.signals import Interrupted, Interruption
from nmt.training.state import TrainingState


class Trainer:
    """Makes updates until a limit or early stopping ends it.

    What is due follows from the counters, so that a run that is resumed decides as the unbroken one
    did. A validation that a signal broke off is due again.

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
        """Train, and return why it ended; raise `Interrupted` where somebody asked for an end."""
        self._timer.restart()
        # The loader too: after the last batch of an epoch it prepares the next one.
        with closing(self._updates()) as updates:
            while True:
                self._validate_or_save()
                self._stop_if_interrupted()
                if (reason := reason_to_stop(self._state)) is not None:
                    return reason
                update = next(updates)
                self.train_step(update)
                self._count(update)
                self._log_and_check()

    def train_step(self, update: LocalUpdate) -> None:
        """Take one step on the gradient of all batches of an update, per token."""
        state, counters, num_tokens = self._state, self._counters, update.num_target_tokens
        counters.update += 1
        state.model.train()
        state.optimizer.set_learning_rate(state.learning_rate())
        sums = self._gradients.accumulate(update.batches, num_tokens)
        with explain_out_of_memory(AT_A_STEP):
            if state.group.size > 1:
                dtype = GRADIENT_DTYPES[self._config.ranks.gradients]
                all_reduce_gradients(state.group, state.model, sums, dtype)
            objective, likelihood = sums.unbind()
            norm = apply_gradients(state.optimizer, objective, self._config.clip_norm)
        if state.ema is not None:
            state.ema.update(counters.update)
        state.running_metrics.add(objective, likelihood, num_tokens, norm)
        state.divergence.add(likelihood, num_tokens, norm)

    def note_progress(self) -> None:
        """Count time and split batches since the last call, of all; waits for the device."""
        self._counters.seconds += self._timer.restart()
        self._gradients.count_split()

    def _updates(self) -> Generator[LocalUpdate, None, None]:
        """Yield what this process computes of each update from here on."""
        counters, loader = self._counters, self._state.loader
        while True:
            epoch = counters.epoch
            yield from loader.updates(epoch, counters.batch)
            if counters.epoch == epoch:
                raise no_sentences(epoch)

    def _count(self, update: LocalUpdate) -> None:
        counters = self._counters
        counters.num_tokens += update.num_target_tokens
        counters.batch += update.num_batches
        if update.is_last:
            counters.epoch += 1
            counters.batch = 0
        self._state.reporter.advance()

    def _validate_or_save(self) -> None:
        """Do what is due; the time that it takes does not count as training."""
        validation_is_due = self._validation_is_due()
        if not validation_is_due and not self._save_is_due():
            return
        self.note_progress()
        if validation_is_due:
            if not self._has_saved:  # there is never a `best` without a `last`
                self._state.save()
            validate(self._state, self._interruption)
        self._state.save()
        self._has_saved = True
        self._timer.restart()

    def _stop_if_interrupted(self) -> None:
        """Raise `Interrupted` in all processes at the same update, if any was asked for an end."""
        signal = self._state.group.all_reduce_max(self._interruption.signal or 0)
        if signal:  # else what came in the meantime stays noted, for the next time
            self._interruption.signal = signal
            self.note_progress()
            raise Interrupted

    def _log_and_check(self) -> None:
        """Log the metrics where that is due, and give up where training has failed."""
        if self._counters.update % self._config.log_every == 0:
            self.note_progress()
            log_training(self._state)
        if self._check_of_bad_updates_is_due():
            stop_after_bad_updates(self._state)
        stop_if_diverged(self._state)

    def _validation_is_due(self) -> bool:
        counters, every = self._counters, self._config.validation.every
        if counters.validated_at == counters.update:
            return False
        is_time = counters.batch == 0 if every is None else counters.update % every == 0
        return is_time or reason_to_stop(self._state) is not None

    def _save_is_due(self) -> bool:
        every, update = self._config.checkpoints.every, self._counters.update
        return every is not None and update > self._resumed_at and update % every == 0

    def _check_of_bad_updates_is_due(self) -> bool:
        """Return whether to look: at each update on a CPU; else seldom, as it waits for the GPU."""
        return (
            self._state.device.type == "cpu"
            or self._counters.update % self._config.max_bad_updates == 0
            or self._save_is_due()
            or self._validation_is_due()
        )
