"""Averaging of checkpoints, and the competition of their average with the best one."""

import logging
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from nmt.training.optim.ema import swapped_weights
from nmt.training.signals import Interruption
from nmt.training.state import TrainingState

logger = logging.getLogger(__name__)


def average_weights(checkpoints: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of each tensor over checkpoints of a model (Junczys-Dowmunt 2016, section 3).

    Summed in float64, read one checkpoint at a time; tensors of integers come from the last one.
    """
    sums: dict[str, Tensor] = {}
    last: Mapping[str, Tensor] = {}
    count = 0
    for last in checkpoints:
        assert not sums or sums.keys() == last.keys()
        for name, tensor in last.items():
            sums[name] = sums[name] + tensor.double() if name in sums else tensor.double()
        count += 1
    assert count > 0
    return {
        name: (total / count).to(last[name].dtype)
        if torch.is_floating_point(last[name])
        else last[name]
        for name, total in sums.items()
    }


def keep_average_if_better(state: TrainingState, interruption: Interruption) -> None:
    """Average the last snapshots, and keep that as the best where it validates better."""
    # Of the first process, which has written them all by then.
    updates = state.group.broadcast(state.snapshots.latest(state.config.checkpoints.average_last))
    if state.validator is None or len(updates) < 2:
        return
    average = average_weights(state.snapshots.weights(updates))
    with swapped_weights(state.model, average):
        validation = state.validator(interruption)
    value = validation.value(state.best.metric)
    improved = state.best.is_better(value, validation.loss)
    verdict = "kept as the best" if improved else f"not kept, better is {state.best}"
    logger.info("average of %d snapshots: %s - %s", len(updates), validation, verdict)
    if improved:
        update = state.counters.update
        state.best.observe(value, update, validation.loss)
        facts = {"loss": validation.loss, "scores": validation.as_dict(), "average_of": updates}
        if state.group.is_first:
            state.snapshots.save_best(average, {"update": update, **facts})
