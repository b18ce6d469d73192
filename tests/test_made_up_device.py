"""The made-up device finds faults: those that tests of models and searches are there to find."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

from nmt.nn.attention.alignments.alignment import AlignmentOutput, SoftmaxAlignment
from nmt.nn.attention.scores.additive import AdditiveScore
from nmt.search.greedy import GreedySearch
from nmt.system.device import to_host
from nmt.training.optim.optimizer import Optimizer
from nmt.training.optim.rules import Adam
from tests.integration.test_device_of_models import run
from tests.integration.test_device_of_searches import search
from tests.made_up_device import HostWait, Waits, cases_fixture, device, fake_device
from tests.tagged_device import tagged_device

Fault = Callable[[Tensor, Waits], object]


def made(place: torch.device | None = None) -> Tensor:
    """Three numbers, as a tensor of the CPU or of the device."""
    return torch.ones(3, device=place)


def on_fake(fault: Fault) -> None:
    with fake_device() as waits:
        fault(made(device()), waits)


def on_tagged(fault: Fault) -> None:
    with tagged_device() as tagged:
        fault(made(device()), tagged.waits)


def read_twice(there: Tensor, waits: Waits) -> None:
    waits.allow(1, through=to_host)
    to_host(there.sum() > 0)
    to_host(there.sum() > 0)


def read_elsewhere(there: Tensor, waits: Waits) -> None:
    waits.allow(5, through=to_host)
    there.sum().item()


WAITS: dict[str, Fault] = {
    "item": lambda there, _: there.sum().item(),
    "float": lambda there, _: float(there.sum()),
    "list": lambda there, _: there.tolist(),
    "copy": lambda there, _: there.cpu(),
    "copy by to": lambda there, _: there.to("cpu"),
    "copy into": lambda there, _: made().copy_(there),
    "twice": read_twice,
    "elsewhere": read_elsewhere,
    "assignment": lambda there, _: there.__setitem__(there > 0, there),
}
"""Waits that are not allowed."""
MIXED: dict[str, Fault] = {
    "sum": lambda there, _: there + made(),
    "concatenation": lambda there, _: torch.cat([there, made()]),
    "range": lambda there, _: there * torch.arange(3),
}
COUNTED: dict[str, Fault] = {
    "condition": lambda there, _: bool((there > 0).all()),
    "mask": lambda there, _: there[there > 0],
    "places": lambda there, _: there.nonzero(),
    "equality": lambda there, _: torch.equal(there, there),
}
"""Waits for which fake tensors have errors of their own."""


def in_update() -> None:
    """An update that reads a value in the step of its optimizer."""
    step = Adam.step

    def reading(optimizer: Any) -> None:
        assert optimizer.param_groups[0]["params"][0].sum().item() != 0.0
        step(optimizer)

    with mock.patch.object(Adam, "step", reading):
        run({}, {})


def in_score() -> None:
    """A score that adds a tensor of the CPU."""
    forward = AdditiveScore.forward

    def adding(score: Any, query: Tensor, keys: Tensor, state: Any = None) -> Tensor:
        return forward(score, query, keys, state) + torch.zeros(keys.shape[1])

    with mock.patch.object(AdditiveScore, "forward", adding):
        run({"decoder": {"recurrent_dropout": 0.1}}, {})


def in_alignment() -> None:
    """An alignment that leaves out the mask where all positions are real."""
    forward = SoftmaxAlignment.forward

    def hurried(part: Any, scores: Tensor, mask: Tensor, *others: Any) -> AlignmentOutput:
        if mask.all():
            return AlignmentOutput(torch.softmax(scores, dim=-1))
        return forward(part, scores, mask, *others)

    with mock.patch.object(SoftmaxAlignment, "forward", hurried):
        run({"decoder": {"recurrent_dropout": 0.1}}, {})


def in_momentum() -> None:
    """An optimizer whose state is on the CPU."""
    with mock.patch.object(Optimizer, "set_learning_rate", keep_state_on_cpu):
        run({}, {})


def keep_state_on_cpu(optimizer: Optimizer, value: float) -> None:
    for parameter in optimizer.param_groups[0]["params"]:
        optimizer.state[parameter]["exp_avg"] = torch.zeros(parameter.shape)
        optimizer.state[parameter]["exp_avg_sq"] = torch.zeros(parameter.shape)
        optimizer.state[parameter]["step"] = torch.zeros(())


def in_search(choose: Callable[..., Tensor]) -> None:
    """A greedy search that chooses otherwise."""
    with mock.patch.object(GreedySearch, "_choose", choose):
        search({"search": "greedy"}, {})


def choose_by_reading(_: Any, ranked: Tensor, partial: Any) -> Tensor:
    for row in ranked.repeat(4, 1):
        assert row.max().item() > -torch.inf
    return ranked.argmax(dim=1)


def choose_on_cpu(_: Any, ranked: Tensor, partial: Any) -> Tensor:
    return (ranked + torch.zeros(ranked.shape[1])).argmax(dim=1)


def faults() -> Iterator[tuple[str, Callable[[], object], str]]:
    """Yield names, faults, and the errors that they lead to."""
    for name, fault in WAITS.items():
        yield f"fake {name}", partial(on_fake, fault), HostWait.__name__
        yield f"tagged {name}", partial(on_tagged, fault), HostWait.__name__
    for name, fault in MIXED.items():
        yield f"fake {name}", partial(on_fake, fault), "FakeTensorDeviceMismatchError"
        yield f"tagged {name}", partial(on_tagged, fault), "MixedDevicesError"
    for name, fault in COUNTED.items():
        error = "HostWait|DynamicOutputShapeException|DataDependentOutputException"
        yield f"fake {name}", partial(on_fake, fault), error
        yield f"tagged {name}", partial(on_tagged, fault), HostWait.__name__
    index = torch.zeros(1, dtype=torch.int64)
    yield "fake index", partial(on_fake, lambda there, _: there[torch.zeros(1).long()]), "HostWait"
    yield "tagged index", partial(on_tagged, lambda there, _: there[index]), "MixedDevicesError"
    yield "fake upload", partial(on_fake, lambda *_: made().to(device())), HostWait.__name__
    yield "update", in_update, HostWait.__name__
    yield "score", in_score, "FakeTensorDeviceMismatchError"
    yield "alignment", in_alignment, HostWait.__name__
    yield "momentum", in_momentum, "FakeTensorDeviceMismatchError|AssertionError"
    yield "search that reads", partial(in_search, choose_by_reading), "AssertionError"
    yield "search on the CPU", partial(in_search, choose_on_cpu), "MixedDevicesError"


CASES = {name: fault for name, fault, _ in faults()}
EXPECTED = {name: error for name, _, error in faults()}
errors = cases_fixture("tests.test_made_up_device")


@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_found(case: str, errors: dict[str, str]) -> None:
    last = errors[case].rpartition("\n")[2]
    assert last.split(":")[0] in EXPECTED[case].split("|"), errors[case] or "not found"
