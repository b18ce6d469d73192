import importlib
import subprocess
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from nmt.core.special_tokens import PAD

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    module: ModuleType = load_script("measure_training_memory")
    return module


@pytest.fixture(scope="module")
def losses(script: ModuleType) -> ModuleType:
    return importlib.import_module("benchmarks.losses")


def test_the_losses_are_the_same(script: ModuleType, losses: ModuleType) -> None:
    torch.manual_seed(1)
    projection = nn.Linear(6, 30)
    labels = torch.randint(4, 30, (2, 5))
    labels[1, 3:] = PAD
    seen = []
    for name in script.LOSSES:
        torch.manual_seed(2)
        vectors = torch.randn(2, 5, 6, requires_grad=True)
        loss = losses.loss_of(name, vectors, projection, labels, torch.float32)
        loss.backward()
        seen.append((loss.detach(), vectors.grad, projection.weight.grad, projection.bias.grad))
        projection.zero_grad()
    for other in seen[1:]:
        torch.testing.assert_close(other, seen[0])


@pytest.mark.parametrize("name", ["torch", "whole", "chunks"])
def test_an_update_changes_the_weights(
    losses: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    models = []
    make = losses.make_model

    def remember(sizes: object) -> nn.Module:
        models.append(make(losses.Sizes(vocabulary=30, embedding=4, hidden=4)))
        return models[-1]

    monkeypatch.setattr(losses, "make_model", remember)
    run = losses.prepare_update(name, torch.float32, 30, 2, 3)
    before = [parameter.clone() for parameter in models[0].parameters()]
    run()
    for old, new in zip(before, models[0].parameters(), strict=True):
        assert not torch.equal(old, new)


def test_peak_memory_is_relative_to_the_start(
    script: ModuleType, losses: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    done: list[object] = []

    def prepare(*given: object) -> Callable[[], None]:
        done.append(given)
        return lambda: done.append("run")

    def before() -> float:
        done.append("before")
        return 100.0

    monkeypatch.setattr(losses, "prepare_update", prepare)
    monkeypatch.setattr(script, "resident_megabytes", before)
    usage = SimpleNamespace(ru_maxrss=250_000)  # kilobytes
    monkeypatch.setattr(script.resource, "getrusage", lambda who: usage)
    assert script.main(["--only", "whole", "bfloat16", "update", "--tokens", "32"]) == 0
    assert done == [("whole", torch.bfloat16, 32_000, 2, 16), "before", "run"]
    assert float(capsys.readouterr().out) == pytest.approx(156.0)


def test_the_table(script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    megabytes = {"torch": 4000, "whole": 3000, "chunks": 150}
    seen = []

    def start(command, **options) -> subprocess.CompletedProcess[str]:
        at = command.index("--only")
        loss, precision, what = command[at + 1 : at + 4]
        seen.append((loss, precision, what, command[at + 4 :]))
        value = megabytes[loss] + (600 if what == "update" else 0)
        return subprocess.CompletedProcess(command, 0, stdout=f"{value}\n")

    monkeypatch.setattr(subprocess, "run", start)
    assert script.main(["--precisions", "bfloat16", "--vocabulary", "9"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| precision | loss | MB, the loss | MB, an update |",
        "|---|---|---|---|",
        "| bfloat16 | `cross_entropy` of all logits | 4,000 | 4,600 |",
        "| bfloat16 | `label_smoothed_cross_entropy` of all logits | 3,000 | 3,600 |",
        "| bfloat16 | `chunked_cross_entropy` | 150 (20.0x less) | 750 (4.8x less) |",
    ]
    given = ["--vocabulary", "9", "--tokens", "8000"]
    assert seen[0] == ("torch", "bfloat16", "loss", given)
    assert len(seen) == 6
