"""Shares of an optimizer's state; `tests/integration/test_train_ranks.py` has several."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.distributed import HashStore  # type: ignore[attr-defined]

from nmt.core.errors import ConfigError
from nmt.distributed.process_group import LostProcessError, ProcessGroup
from nmt.training.optim.muon import Muon
from nmt.training.optim.optimizer import (
    Optimizer,
    apply_gradients,
    optimizer_tensors,
    restore_optimizer,
)
from nmt.training.optim.rules import AdamW


@pytest.fixture(autouse=True)
def group() -> Iterator[None]:
    distributed.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def train(model: nn.Linear, optimizer: Optimizer, steps: int) -> Tensor:
    for step in range(steps):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, step + 1.0)
        apply_gradients(optimizer, torch.ones((), device=model.weight.device), None)
    return model.weight.detach().cpu().clone()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_steps_after_restoring_are_those_of_the_whole(device: str) -> None:
    from torch.distributed.optim import ZeroRedundancyOptimizer

    from nmt.training.optim.zero import ShardedOptimizer

    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")

    def made() -> tuple[nn.Linear, AdamW]:
        torch.manual_seed(1)
        model = nn.Linear(3, 2).to(device)
        return model, AdamW(model, learning_rate=0.1)

    whole, optimizer = made()
    expected = train(whole, optimizer, 2), train(whole, optimizer, 3)
    model, rule = made()
    sharded = ShardedOptimizer(rule, ProcessGroup())
    assert torch.equal(train(model, sharded, 2), expected[0])
    saved = {name: value.cpu() for name, value in optimizer_tensors(sharded).items()}
    with pytest.raises(RuntimeError, match="has not been consolidated"):
        ZeroRedundancyOptimizer.state_dict(sharded)  # what was gathered of it is not kept
    again = ShardedOptimizer(AdamW(model, learning_rate=0.1), ProcessGroup())
    restore_optimizer(again, saved)
    assert not again.state, "the share is there once"
    assert torch.equal(train(model, again, 3), expected[1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_step_reports_a_lost_process(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.distributed.optim import ZeroRedundancyOptimizer

    from nmt.training.optim.zero import ShardedOptimizer

    def lose(self: object) -> None:
        raise RuntimeError("[gloo/pair.cc:553] Connection closed by peer")

    model = nn.Linear(3, 2)
    sharded = ShardedOptimizer(AdamW(model, learning_rate=0.1), ProcessGroup())
    monkeypatch.setattr(ZeroRedundancyOptimizer, "_sync_params", lose)
    with pytest.raises(
        LostProcessError, match=r"\(Connection closed by peer\); read its messages$"
    ):
        train(model, sharded, 1)


class OwnStep(AdamW):
    """Takes steps that `ZeroRedundancyOptimizer` would not take."""

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        super().step()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", [Muon, OwnStep])
def test_steps_that_are_not_those_of_torch_are_not_sharded(kind: type[Optimizer]) -> None:
    from nmt.training.optim.zero import ShardedOptimizer

    optimizer: Any = kind
    with pytest.raises(ConfigError) as caught:
        ShardedOptimizer(optimizer(nn.Linear(3, 2)), ProcessGroup())
    assert str(caught.value) == (
        f"training.ranks.shard_optimizer: {kind.__name__} has its own `step`, which cannot be "
        "sharded; set it to false"
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_adopted_optimizers_are_sharded() -> None:
    from nmt.training.optim.zero import ShardedOptimizer

    nadam: Any = Optimizer.adopt(torch.optim.NAdam)
    weights = []
    for is_sharded in (False, True):
        torch.manual_seed(1)
        model = nn.Linear(3, 2)
        optimizer: Optimizer = nadam(model, learning_rate=0.1, momentum_decay=0.3)
        if is_sharded:
            optimizer = ShardedOptimizer(optimizer, ProcessGroup())
        weights.append(train(model, optimizer, 3))
    assert torch.equal(*weights)
