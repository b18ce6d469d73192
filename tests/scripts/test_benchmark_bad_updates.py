from types import ModuleType

import pytest
import torch

from nmt.training.optim.optimizer import Optimizer
from nmt.training.optim.rules import Adam

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    module: ModuleType = load_script("benchmark_bad_updates")
    return module


@pytest.mark.parametrize("way", ["check", "where", "found_inf"])
def test_every_way_skips_a_bad_update(script: ModuleType, way: str) -> None:
    results = []
    for bad in (False, True):
        torch.manual_seed(1)
        model = torch.nn.Linear(3, 2)
        optimizer: Optimizer = Adam(model)
        for value in (1.0, torch.nan, 2.0) if bad else (1.0, 2.0):
            for parameter in model.parameters():
                parameter.grad = torch.full_like(parameter, value)
            script.STEPS[way](optimizer, torch.tensor(1.0))
        results.append(model.weight.detach())
    assert torch.equal(*results)


def test_table_has_a_row_for_each_optimizer_and_way(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = script.Sizes(vocabulary=40, embedding=6, hidden=8, length=5, sentences=3)
    monkeypatch.setattr(script, "SMALL", tiny)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    options = ["--small", "--rounds", "1", "--updates", "1", "--optimizers", "adam", "adadelta"]
    assert script.main(options) == 0
    rows = [line.split("|")[1:3] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["adam", "check"],
        ["adam", "where"],
        ["adam", "found_inf"],
        ["adadelta", "check"],
    ]
