import importlib
from types import ModuleType
from typing import Any

import pytest

from nmt.nn.recurrent.minimal import MinGRU

pytestmark = pytest.mark.usefixtures("unchecked")

TINY = [
    "--rounds",
    "1",
    "--updates",
    "1",
    "--vocabulary",
    "40",
    "--embedding",
    "6",
    "--hidden",
    "8",
]
TINY += ["--length", "4", "--sentences", "2"]


@pytest.fixture(scope="module")
def script(load_script: Any) -> ModuleType:
    module: ModuleType = load_script("benchmark_cells")
    return module


def test_the_table_has_medians_of_rates_and_of_ratios(script: ModuleType) -> None:
    rates = {"luong": {"gru": [100.0, 200.0, 400.0], "sru": [300.0, 100.0, 800.0]}}
    assert script.table(rates) == [
        "| cell | luong, tokens/s | against gru |",
        "|---|---|---|",
        "| gru | 200 | 1.00 |",
        "| sru | 300 | 2.00 |",
    ]


@pytest.mark.parametrize("wiring", ["bahdanau", "luong"])
def test_both_sides_have_the_cell(script: ModuleType, wiring: str) -> None:
    ways = importlib.import_module("benchmarks.ways")
    sizes = ways.Sizes(vocabulary=40, embedding=6, hidden=8)
    model = ways.model_of(sizes, "min_gru", script.WIRINGS[wiring])
    assert all(
        isinstance(cell, MinGRU) for cell in [*model.encoder.layers[0], *model.decoder.cells]
    )
    assert [cell.hidden_size for cell in [*model.encoder.layers[0], *model.decoder.cells]] == [
        4,
        4,
        8,
    ]
    waits = {"bahdanau": "the cell MinGRU", "luong": None}[wiring]
    assert model.decoder.slow_path_reason == waits


def test_it_measures_the_cells_that_are_given(
    script: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "set_up_for_training", lambda threads: None)
    assert script.main([*TINY, "--cells", "ssru", "zoneout_lstm"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == [
        "| cell",
        "|---|---|---|---|---|",
        "| gru",
        "| ssru",
        "| zoneout_lstm",
    ]
    assert rows[2][2] == "1.00"
    assert all(float(row[1].replace(",", "")) > 0 for row in rows[2:])
