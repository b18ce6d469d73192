"""Updates on a GPU: the same as on a CPU, without waiting, and in the memory that there is."""

import warnings
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from nmt.core.batch import LocalUpdate, make_batch, map_tensors
from nmt.training.logs.running_metrics import RunningMetrics
from nmt.training.objective.objective import build_objective
from nmt.training.optim.rules import SGD
from nmt.training.signals import Interruption
from nmt.training.state import TrainingState
from nmt.training.trainer import Trainer

from .conftest import MakeState, batches, tiny_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
GPU = torch.device("cuda")


def on_gpu(state: TrainingState, precision: torch.dtype = torch.float32) -> TrainingState:
    state.device = GPU
    state.model = tiny_model().to(GPU)
    state.optimizer = SGD(state.model, learning_rate=0.1, momentum=0.5)
    state.objective = build_objective(state.config, precision)
    state.running_metrics = RunningMetrics(GPU)
    return state


def portions(number: int) -> list[LocalUpdate]:
    """As the loader gives them: in memory that a GPU can fetch."""
    pinned = [map_tensors(Tensor.pin_memory, batch) for batch in batches(number)]
    return [LocalUpdate([batch], 1, batch.num_target_tokens, False) for batch in pinned]


def update(state: TrainingState, given: list[LocalUpdate]) -> Tensor:
    with state.reporter.opened():
        trainer = Trainer(state, Interruption())
        for portion in given:
            trainer.train_step(portion)
        trainer.note_progress()
    return parameters_to_vector(state.model.parameters()).detach().cpu()


def test_updates_are_those_of_a_cpu(make_state: MakeState) -> None:
    given = portions(6)
    torch.testing.assert_close(
        update(on_gpu(make_state()), given), update(make_state(), given), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_an_update_waits_once(make_state: MakeState, precision: torch.dtype) -> None:
    state, given = on_gpu(make_state(), precision), portions(4)
    update(state, given[:2])  # the first ones compile and choose kernels
    with state.reporter.opened():
        trainer = Trainer(state, Interruption())
        with warnings.catch_warnings(record=True) as waits:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                for portion in given[2:]:
                    trainer.train_step(portion)
            finally:
                torch.cuda.set_sync_debug_mode("default")
    assert len(waits) == len(given[2:]), "each for the norm of its gradient"


def test_a_batch_that_does_not_fit_is_split(make_state: MakeState) -> None:
    large = make_batch([[4, 5, 6] * 30] * 4096, [[7, 8] * 40] * 4096)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(GPU).total_memory
    torch.cuda.set_per_process_memory_fraction(2**30 / total)
    try:
        state = on_gpu(make_state())
        update(state, [LocalUpdate([large], 1, large.num_target_tokens, True)])
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert state.counters.num_split > 0
    small = replace(large, source=large.source[:1], source_lengths=large.source_lengths[:1])
    small = replace(small, target=large.target[:1], num_target_tokens=81)
    other = on_gpu(make_state())
    alone = update(other, [LocalUpdate([small], 1, 81, True)])
    after = parameters_to_vector(state.model.parameters()).detach().cpu()
    torch.testing.assert_close(after, alone, rtol=1e-3, atol=1e-4)  # all its sentences are alike
