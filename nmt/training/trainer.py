"""The training loop: updates, and periodic actions between them."""

import logging
from collections.abc import Generator
from contextlib import closing
from typing import Final

import torch
from torch import Tensor

from nmt.core.batch import Batch, LocalUpdate
from nmt.core.errors import UserError
from nmt.system.memory import explain_out_of_memory, is_out_of_memory
from nmt.training.callbacks import log_training, stop_if_diverged, validate
from nmt.training.divergence import WINDOW
from nmt.training.logs.running_metrics import Timer
from nmt.training.optim.optimizer import GRADIENT_DTYPES, all_reduce_gradients, apply_gradients
from nmt.training.saved_state import save_state
from nmt.training.signals import Interrupted, Interruption
from nmt.training.state import TrainingState, no_sentences

logger = logging.getLogger(__name__)

_NO_MEMORY_FOR_STEP: Final = (
    "update: out of memory in the optimizer step, after all batches; start another run with a "
    "smaller training.batch_tokens or model, or, with several processes, --resume with "
    "training.ranks.shard_optimizer=true"
)


class Trainer:
    """The training loop, which makes updates until a limit or early stopping.

    Periodic actions depend only on the counters, so a resumed run does the same as an uninterrupted
    one. A validation that was interrupted is repeated.

    Args:
        state: the new or restored training state, which holds everything that changes.
        interruption: requests to stop.
    """

    def __init__(self, state: TrainingState, interruption: Interruption) -> None:
        self._state = state
        self._config = state.config
        self._counters = state.counters
        self._interruption = interruption
        self._resumed_at = state.counters.update
        self._has_saved = self._resumed_at > 0
        self._timer = Timer(state.device)
        self._num_split = 0  # by this process, not yet counted for all

    def run(self) -> str:
        """Train, and return why training ended.

        Raises:
            Interrupted: a stop was requested.
        """
        self._timer.restart()
        with closing(self._updates()) as updates:
            while True:
                self._validate_or_save()
                self._stop_if_interrupted()
                if (reason := self._state.reason_to_stop()) is not None:
                    return reason
                update = next(updates)
                self.train_step(update)
                self._count(update)
                self._log_and_check()

    def train_step(self, update: LocalUpdate) -> None:
        """Make one optimizer step with the gradient of all batches of an update, per token."""
        state, num_tokens = self._state, update.num_target_tokens
        self._counters.update += 1
        state.model.train()
        state.optimizer.set_learning_rate(state.learning_rate())
        sums = self._accumulate(update.batches, num_tokens)
        with explain_out_of_memory(_NO_MEMORY_FOR_STEP):
            if state.group.size > 1:
                dtype = GRADIENT_DTYPES[self._config.ranks.gradients]
                all_reduce_gradients(state.group, state.model, sums, dtype)
            objective, likelihood = sums.unbind()
            norm = apply_gradients(state.optimizer, objective, self._config.clip_norm)
        if state.ema is not None:
            state.ema.update(self._counters.update)
        state.running_metrics.add(objective, likelihood, num_tokens, norm)

    def note_progress(self) -> None:
        """Add the time, and the split batches of all processes, since the last call.

        Waits for the device.
        """
        counters = self._counters
        counters.seconds += self._timer.restart()
        total = torch.tensor(self._num_split)
        self._state.group.all_reduce(total)
        num_elsewhere = int(total) - self._num_split
        counters.num_split += int(total)
        self._num_split = 0
        if num_elsewhere:
            logger.warning(
                f"update {counters.update:,}: other processes ran out of memory and split "
                f"{num_elsewhere:,} batches ({counters.num_split:,} so far); lower "
                "training.batch_tokens, or set it to auto"
            )

    def _accumulate(self, batches: list[Batch], num_tokens: int) -> Tensor:
        """Accumulate the gradients of some batches, divided by `num_tokens`.

        If a batch runs out of memory, only some weights have its gradient. The batch is then split,
        and all gradients are computed again.

        Returns:
            `[2]`: objective and negative log-likelihood, summed over the tokens.

        Raises:
            UserError: a single pair does not fit in memory.
        """
        state, parts = self._state, batches
        while True:
            state.seed_update()
            sums = torch.zeros(2, device=state.device)
            too_large = self._first_too_large(parts, num_tokens, sums)
            if too_large is None:
                break
            state.optimizer.zero_grad(set_to_none=True)
            parts = [*parts[:too_large], *self._split(parts[too_large]), *parts[too_large + 1 :]]
        if len(parts) > len(batches):
            logger.warning("batches of up to %s tokens fit", f"{max(map(_num_cells, parts)):,}")
        return sums

    def _first_too_large(self, batches: list[Batch], num_tokens: int, sums: Tensor) -> int | None:
        """Add up gradients; return the index of the first batch that runs out of memory, if any."""
        probability = self._state.sampling_probability()
        for index, batch in enumerate(batches):
            try:
                sums += self._add_gradient(batch, num_tokens, probability)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                return index
        return None

    def _add_gradient(self, batch: Batch, num_tokens: int, probability: float) -> Tensor:
        state = self._state
        losses = state.objective(state.model, batch.to(state.device), probability)
        (losses.objective / num_tokens).backward()  # type: ignore[no-untyped-call]
        return torch.stack((losses.objective.detach(), losses.negative_log_likelihood))

    def _split(self, batch: Batch) -> tuple[Batch, Batch]:
        """Split a batch that is too large into halves.

        Raises:
            UserError: the batch has only one sentence pair.
        """
        num_source, num_target = batch.source.shape[1], batch.labels.shape[1]
        if batch.num_sentences == 1:
            raise UserError(
                f"out of memory at one pair of {num_source} and {num_target} tokens; leave out "
                "such pairs (data.filters.max_length), or use a smaller model"
            )
        if self._state.device.type == "cuda":
            torch.cuda.empty_cache()
        self._num_split += 1
        so_far = self._counters.num_split + self._num_split
        logger.warning(
            f"update {self._counters.update:,}: out of memory at {batch.num_sentences:,} pairs of "
            f"up to {num_source} and {num_target} tokens, so the batch is split ({so_far:,} so "
            "far); lower training.batch_tokens, or set it to auto"
        )
        return batch.halves()

    def _updates(self) -> Generator[LocalUpdate, None, None]:
        """Yield this process's share of each update, from the present position."""
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
        self._state.reporter.bar.update()

    def _validate_or_save(self) -> None:
        """Validate and save if due; the time that they take does not count as training time."""
        validation_is_due = self._validation_is_due()
        if not validation_is_due and not self._save_is_due():
            return
        self.note_progress()
        if validation_is_due:
            if not self._has_saved:  # `last` must exist before `best`
                save_state(self._state)
            validate(self._state, self._interruption)
        save_state(self._state)
        self._has_saved = True
        self._timer.restart()

    def _stop_if_interrupted(self) -> None:
        """Raise `Interrupted` in all processes at the same update, if any has received a signal."""
        signal = self._state.group.all_reduce_max(self._interruption.signal or 0)
        if signal:  # a signal that arrives during the call is handled at the next one
            self._interruption.signal = signal
            self.note_progress()
            raise Interrupted

    def _log_and_check(self) -> None:
        """Log the metrics if due, and stop if training has failed."""
        update = self._counters.update
        if update % self._config.log_every == 0:
            self.note_progress()
            log_training(self._state)
        if self._check_of_bad_updates_is_due():
            self._stop_after_bad_updates()
        if update % WINDOW == 0:
            stop_if_diverged(self._state)

    def _validation_is_due(self) -> bool:
        counters, every = self._counters, self._config.validation.every
        if counters.validated_at == counters.update:
            return False
        is_time = counters.batch == 0 if every is None else counters.update % every == 0
        return is_time or self._state.reason_to_stop() is not None

    def _save_is_due(self) -> bool:
        every, update = self._config.checkpoints.every, self._counters.update
        return every is not None and update > self._resumed_at and update % every == 0

    def _check_of_bad_updates_is_due(self) -> bool:
        """Return whether to check: always on a CPU, rarely on a GPU (the check waits for it)."""
        return (
            self._state.device.type == "cpu"
            or self._counters.update % self._config.max_bad_updates == 0
            or self._save_is_due()
            or self._validation_is_due()
        )

    def _stop_after_bad_updates(self) -> None:
        """Stop if too many consecutive updates were skipped; `last` is kept.

        Raises:
            UserError: `max_bad_updates` consecutive updates had a non-finite loss or gradient.
        """
        limit = self._config.max_bad_updates
        if self._state.running_metrics.most_bad_in_a_row() >= limit:
            raise UserError(
                f"training.max_bad_updates: {limit} updates in a row, up to "
                f"{self._counters.update}, had a loss or gradient that is not finite; they were "
                "skipped, so the weights are intact; lower training.optimizer.learning_rate or "
                "training.clip_norm and start again"
            )


def _num_cells(batch: Batch) -> int:
    """Return the tokens of the larger side, including padding (see `training.batch_tokens`)."""
    return batch.num_sentences * max(batch.source.shape[1], batch.labels.shape[1])
