"""Several processes that train together, as threads of this one."""

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributed import HashStore  # type: ignore[attr-defined]
from torch.nn.utils import parameters_to_vector

from nmt.core.batch import LocalUpdate, make_batch
from nmt.core.errors import ConfigError, RunError
from nmt.data.batching import Shard
from nmt.distributed.process_group import (
    ProcessGroup,
    agree_on_prefix,
)
from nmt.training.optim.optimizer import all_reduce_gradients
from nmt.training.rank_checks import require_distinct_gpus, require_same_start, require_same_weights
from nmt.training.signals import Interrupted, Interruption
from nmt.training.trainer import Trainer
from nmt.training.validation import on_all_ranks

from .conftest import MakeState, after_each_update
from .test_trainer import runs_out_above
from .test_validation import shouting

DRAWING = threading.Lock()  # first weights, from the one generator that all threads have

Value = TypeVar("Value")
Result = TypeVar("Result")


class Threads(ProcessGroup):
    """One of several that meet at a barrier."""

    def __init__(self, rank: int, barrier: threading.Barrier, table: list[Any]) -> None:
        self.rank = rank
        self.size = len(table)
        self._barrier = barrier
        self._table = table

    def all_gather(self, value: Value) -> list[Value]:
        self._table[self.rank] = value
        self._barrier.wait(30)
        values = list(self._table)
        self._barrier.wait(30)
        return values

    def all_reduce(self, tensor: Tensor) -> None:
        tensor.copy_(torch.stack(self.all_gather(tensor.clone())).sum(0))

    def all_reduce_max(self, number: int) -> int:
        return max(self.all_gather(number))

    def broadcast(self, value: Value) -> Value:
        return self.all_gather(value)[0]

    def scatter(self, values: Sequence[Any] | None) -> Any:
        return self.broadcast(values)[self.rank]

    def gather(self, value: Value) -> list[Value]:
        return self.all_gather(value)


def run_ranks(size: int, work: Callable[[ProcessGroup], Result]) -> list[Result]:
    """What each of so many makes of its place among them."""
    barrier, table = threading.Barrier(size), [None] * size

    def do(rank: int) -> Result:
        try:
            return work(Threads(rank, barrier, table))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(do, rank) for rank in range(size)]
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
        raise error
    return [future.result() for future in futures]


SOURCES = [[4, 5], [6, 7, 8], [9], [10, 4, 5, 6], [7], [8, 9], [11, 10], [5]]
TARGETS = [[5, 4], [8, 7, 6, 9], [9, 4, 9], [6], [7, 7], [9, 8], [10], [5, 5, 5]]


class PlacedLoader:
    """Three batches of two, three and one pair, and then one of two."""

    def __init__(self, shard: Shard, accumulate: int) -> None:
        self.shard = shard
        self.accumulate = accumulate

    def updates(self, number: int, start: int = 0) -> Any:
        batches = [np.arange(0, 2), np.arange(2, 5), np.arange(5, 6), np.arange(6, 8)]
        for first in range(start, len(batches), self.accumulate):
            group = batches[first : first + self.accumulate]
            yield LocalUpdate(
                batches=[
                    make_batch([SOURCES[n] for n in part], [TARGETS[n] for n in part])
                    for part in self.shard.select(group)
                ],
                num_batches=len(group),
                num_target_tokens=sum(len(TARGETS[n]) + 1 for part in group for n in part),
                is_last=first + len(group) == len(batches),
            )


@pytest.mark.parametrize(("size", "accumulate"), [(2, 1), (2, 2), (3, 4), (5, 2)])
def test_several_processes_make_the_updates_of_one(
    size: int, accumulate: int, make_state: MakeState
) -> None:
    """Batches that do not divide; with a learning rate at which a difference would grow."""
    options: dict[str, Any] = {"learning_rate": 1.0, "accumulate": accumulate, "max_updates": 8}

    def train(group: ProcessGroup) -> tuple[Tensor, list[float], int]:
        with DRAWING:
            state = make_state(group=group, **options)
        state.loader = PlacedLoader(Shard(group.rank, group.size), accumulate)
        losses: list[float] = []
        add = state.running_metrics.add

        def watched(objective: Tensor, likelihood: Tensor, num_tokens: int, norm: Tensor) -> None:
            losses.append(float(likelihood) / num_tokens)
            add(objective, likelihood, num_tokens, norm)

        state.running_metrics.add = watched  # type: ignore[method-assign]
        with state.reporter.opened():
            Trainer(state, Interruption()).run()
        weights = parameters_to_vector(state.model.parameters()).detach()
        return weights, losses, state.counters.num_tokens

    alone = train(ProcessGroup())
    assert alone[1][-1] < 0.9 * alone[1][0]
    for weights, losses, num_tokens in run_ranks(size, train):
        torch.testing.assert_close(weights, alone[0], rtol=1e-5, atol=1e-5)
        assert losses == pytest.approx(alone[1], rel=1e-5)
        assert num_tokens == alone[2]


def test_signal_to_one_rank_stops_all_after_the_same_update(make_state: MakeState) -> None:
    def train(group: ProcessGroup) -> tuple[int, int | None]:
        with DRAWING:
            state = make_state(group=group, max_updates=9)
        interruption = Interruption()
        if group.rank == 1:
            after_each_update(state, lambda: setattr(interruption, "signal", 15))
        with state.reporter.opened(), pytest.raises(Interrupted):
            Trainer(state, interruption).run()
        return state.counters.update, interruption.signal

    assert run_ranks(3, train) == [(1, 15)] * 3


def test_signal_during_the_agreement_counts_at_the_next_update(
    make_state: MakeState,
) -> None:
    interruption = Interruption()

    class Asked(ProcessGroup):
        size = 2

        def all_reduce_max(self, number: int) -> int:
            interruption.signal = 15
            return number

    state = make_state(group=Asked(), max_updates=9)
    with state.reporter.opened(), pytest.raises(Interrupted):
        Trainer(state, interruption).run()
    assert state.counters.update == 1


def test_batches_that_any_of_them_splits_are_counted(
    make_state: MakeState, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And logged by the first process, whose log is the one that is shown."""
    first_thread: list[str] = []

    def train(group: ProcessGroup) -> int:
        if group.is_first:
            first_thread.append(threading.current_thread().name)
        with DRAWING:
            state = make_state(group=group, max_updates=2, log_every=1)
        if group.rank == 1:
            runs_out_above(state, 1)
        with state.reporter.opened():
            Trainer(state, Interruption()).run()
        return state.counters.num_split

    first, second = run_ranks(2, train)
    assert first == second > 0
    last = (tmp_path / "metrics.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["num_split"] == first
    told = [record.message for record in caplog.records if record.threadName == first_thread[0]]
    warnings = [message for message in told if "out of memory" in message]
    assert warnings == [
        f"update {update}: other processes ran out of memory and split {num} batches ({so_far} so "
        "far); lower training.batch_tokens, or set it to auto"
        for update, num, so_far in ((1, 1, 1), (2, 1, 2))
    ]


@pytest.mark.parametrize(("asked", "measured"), [(1, True), (0, False)])
def test_a_signal_during_a_validation(asked: int, measured: bool) -> None:
    """To the first it ends it for all; to another one it is kept for the next update."""

    def work(group: ProcessGroup) -> tuple[int | None, int | None]:
        interruption = Interruption()

        def measure(translator: Any) -> int:
            interruption.check()
            return 7

        if group.rank == asked:
            interruption.signal = 15
        try:
            found = on_all_ranks(group, shouting(), interruption, measure)
        except Interrupted:
            return None, interruption.signal
        return found, interruption.signal

    expected = [(7, None), (7, 15)] if measured else [(None, 15), (None, 15)]
    assert run_ranks(2, work) == expected


def test_restarted_processes_do_not_join_dead_ones() -> None:
    """Two starts of three, of which the second finds all that the first has left."""
    store = HashStore()
    minute = timedelta(minutes=1)
    for other in (1, 2):
        store.set(f"nmt/rank {other}", "one that died")
    first, second = (
        run_ranks(3, lambda group: agree_on_prefix(store, group.rank, 3, minute)) for _ in "12"
    )
    assert len({*first}) == len({*second}) == 1
    assert first != second


def test_agreeing_on_a_prefix_times_out() -> None:
    with pytest.raises(RuntimeError, match="2 of 3 processes did not join"):
        agree_on_prefix(HashStore(), 0, 3, timedelta(seconds=0))


def test_only_the_first_rank_writes(make_state: MakeState, tmp_path: Path) -> None:
    def train(group: ProcessGroup) -> str:
        with DRAWING:
            state = make_state(group=group, max_updates=4, log_every=1)
        with state.reporter.opened():
            return Trainer(state, Interruption()).run()

    assert run_ranks(2, train) == ["max_updates (4) reached"] * 2
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 4
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"last", "best", "step-4"}


def test_gradients_are_summed_and_missing_ones_are_zero() -> None:
    def work(group: ProcessGroup) -> tuple[list[list[float]], list[float]]:
        model = nn.Linear(2, 1)
        model.weight.grad = torch.tensor([[1.0, 2.0]]) * (group.rank + 1)
        if group.rank == 0:
            model.bias.grad = torch.tensor([5.0])
        sums = torch.tensor([float(group.rank), 1.0])
        all_reduce_gradients(group, model, sums)
        assert model.weight.grad is not None and model.bias.grad is not None
        return [model.weight.grad[0].tolist(), model.bias.grad.tolist()], sums.tolist()

    assert run_ranks(2, work) == [([[3.0, 6.0], [5.0]], [1.0, 2.0])] * 2


def test_gradients_can_be_sent_in_bfloat16() -> None:
    def work(group: ProcessGroup) -> tuple[float, float]:
        model = nn.Linear(1, 1, bias=False)
        model.weight.grad = torch.tensor([[1.0 + 2**-9]])
        sums = torch.tensor([1.0 + 2**-9])
        all_reduce_gradients(group, model, sums, torch.bfloat16)
        assert model.weight.grad.dtype == torch.float32
        return model.weight.grad.item(), sums.item()

    assert run_ranks(2, work) == [(2.0, 2.0 + 2**-8)] * 2


def test_different_weights_are_refused() -> None:
    def work(group: ProcessGroup) -> None:
        model = nn.Linear(1, 1)
        with torch.no_grad():
            model.weight.fill_(1.0)
            model.bias.fill_(0.0 if group.rank < 2 else 1e-7)
        require_same_weights(group, model)

    run_ranks(2, work)
    with pytest.raises(RunError, match=r"rank 2 .* SHA-256 of the weights .* resume from the last"):
        run_ranks(3, work)


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        ("corpus", r"data\.corpora\[0\] \('x' -> 'y'\)"),
        ("batch_tokens", r"training\.batch_tokens \(100 -> 90\)"),
        ("update", r"update of the checkpoint \(3 -> 2\)"),
        ("weights", "SHA-256 of the weights"),
    ],
)
def test_ranks_that_would_start_differently_are_refused(odd: str, told: str) -> None:
    def work(group: ProcessGroup) -> None:
        is_odd = {odd: group.rank == 1}.get
        data = {"tokenizers": ["a", "b"], "corpora": ["y" if is_odd("corpus") else "x"]}
        model = nn.Linear(1, 1, bias=False)
        nn.init.constant_(model.weight, 1.5 if is_odd("weights") else 1.0)
        batch_tokens = 90 if is_odd("batch_tokens") else 100
        require_same_start(group, data, batch_tokens, 2 if is_odd("update") else 3, model)

    with pytest.raises(RunError, match=rf"rank 1 .* {told}.*; give all"):
        run_ranks(2, work)


def test_two_processes_on_one_gpu_are_refused() -> None:
    run_ranks(3, lambda group: require_distinct_gpus(group, f"GPU {group.rank}"))
    with pytest.raises(ConfigError, match="ranks 1 and 2 of torchrun have the same GPU; start one"):
        run_ranks(3, lambda group: require_distinct_gpus(group, f"GPU {group.rank > 0}"))


def test_rank_zero_works_first() -> None:
    order: list[int] = []

    def work(group: ProcessGroup) -> None:
        with group.rank_zero_first():
            if group.is_first:
                order.append(0)
        if not group.is_first:
            order.append(group.rank)

    run_ranks(3, work)
    assert order[0] == 0 and sorted(order) == [0, 1, 2]


def test_other_ranks_exit_silently_when_the_first_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They give torchrun the error of the first, which it repeats at the end."""
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))

    def work(group: ProcessGroup) -> str:
        try:
            with group.rank_zero_first():
                if group.is_first:
                    raise RunError("no")
        except (RunError, SystemExit) as end:
            return str(end)
        return "went on"

    assert run_ranks(3, work) == ["no", "2", "2"]
    assert "nmt: error: no (see above" in (tmp_path / "error.json").read_text()
