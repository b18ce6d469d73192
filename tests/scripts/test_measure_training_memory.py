import importlib
import re
import subprocess
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

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


ANY_PRECISION = ["--precisions", "float32", "bfloat16"]
MODULES = ("model_memory", "ways")


@pytest.fixture
def measured(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[object, float]:
    """Return the peaks that replace measured ones, by case; 100 MB for a case without one."""
    peaks: dict[object, float] = {}
    monkeypatch.setattr(
        script, "model_in_process", lambda case, cell, sizes, number: peaks.get(case, 100.0)
    )
    return peaks


def test_the_table_of_models_has_a_row_for_each_score(
    script: ModuleType, measured: dict[object, float], capsys: pytest.CaptureFixture[str]
) -> None:
    measured["luong", "dot", "bfloat16"] = 1234.4
    arguments = ["--models", "--wirings", "luong", "gnmt", "--scores", "additive", "dot"]
    assert script.main([*arguments, *ANY_PRECISION, "--updates", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Updates: 1, of 64 sentences each.  ",
        "Target tokens: 960.  ",  # sentences of 14 pieces and EOS: the median is below the mean
        "MB, peak of the process: float32 / bfloat16.",
        "",
        "| score | luong | gnmt |",
        "|---|---|---|",
        "| additive | 100 / 100 | 100 / 100 |",
        "| dot | 100 / 1,234 | 100 / 100 |",
        "",
        "largest: luong with dot in bfloat16 (1,234 MB)",
    ]


@pytest.mark.parametrize(("peak", "code"), [(1499.9, 0), (1500.0, 1), (2000.0, 1)])
def test_a_peak_at_the_limit_fails_and_is_named(
    script: ModuleType,
    measured: dict[object, float],
    capsys: pytest.CaptureFixture[str],
    peak: float,
    code: int,
) -> None:
    measured["gnmt", "general", "float32"] = peak
    assert script.main(["--models", "--wirings", "luong", "gnmt", "--scores", "general"]) == code
    over = f"over 1,500 MB: gnmt with general in float32 ({peak:,.0f} MB)"
    assert (capsys.readouterr().out.splitlines()[-1] == over) == bool(code)


def test_the_limit_can_be_set(
    script: ModuleType, measured: dict[object, float], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--models", "--wirings", "luong", "--scores", "none", *ANY_PRECISION]
    assert script.main([*arguments, "--limit", "101"]) == 0
    assert script.main([*arguments, "--limit", "90"]) == 1
    over = "over 90 MB: luong with none in float32 (100 MB), luong with none in bfloat16 (100 MB)"
    assert capsys.readouterr().out.splitlines()[-1] == over


def test_refused_combinations_are_listed_and_not_measured(
    script: ModuleType, measured: dict[object, float], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--models", "--wirings", "sutskever", "--scores", "dot", "uniform", "none"]
    assert script.main([*arguments, "--precisions", "bfloat16"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[6:10] == ["| dot | refused |", "| uniform | refused |", "| none | 100 |", ""]
    assert printed[10] == (
        "refused: sutskever with dot, sutskever with uniform: model.decoder.style: 'sutskever' is "
        "the decoder without attention; set model.attention: null, or use another style"
    )
    assert printed[11:] == ["largest: sutskever with none in bfloat16 (100 MB)"]
    assert script.main([*arguments[:4], "dot"]) == 0, "there is nothing to measure"


def test_every_wiring_and_score_is_measured(
    script: ModuleType, measured: dict[object, float], capsys: pytest.CaptureFixture[str]
) -> None:
    memory = importlib.import_module("benchmarks.model_memory")
    assert script.main(["--models", "--updates", "1"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if "|" in line]
    assert {*rows[0][1:]} >= {"bahdanau", "conditional", "luong", "gnmt", "sutskever"}
    assert [row[0].removeprefix("| ") for row in rows[2:]] == [*memory.SCORES, "none"]
    numbers = [cell.removesuffix(" |") for row in rows[2:] for cell in row[1:]]
    assert numbers.count("refused") == len(memory.SCORES), "sutskever with each score"
    assert set(numbers) == {"100 / 100", "refused"}


def test_wirings_have_the_layers_and_feeding_of_their_names(script: ModuleType) -> None:
    memory, ways = (importlib.import_module(f"benchmarks.{name}") for name in MODULES)
    sizes = ways.Sizes(vocabulary=30, embedding=4, hidden=4)

    def decoder(wiring: str, score: str, cell: str) -> Any:
        return ways.build(memory._config(wiring, score, cell, sizes), sizes).decoder

    assert len(decoder("gnmt", "general", "rnn").layers) == 2
    assert decoder("luong", "dot", "gru").input_feed_size == 4
    assert decoder("luong-without-feeding", "dot", "gru").input_feed_size is None
    assert decoder("bahdanau", "none", "gru").attention.is_fixed
    assert not decoder("bahdanau", "uniform", "gru").attention.is_fixed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--wirings", "lung"], "--wirings: unknown name 'lung'; choose from bahdanau, "),
        (["--scores", "dots"], "--scores: unknown name 'dots'; choose from additive, "),
        (["--cell", "gro"], "--cell: unknown name 'gro'; choose from gru, "),
        (["--tokens", "15"], "--tokens must be at least one sentence, and --updates at least 1"),
        (["--updates", "0"], "--tokens must be at least one sentence, and --updates at least 1"),
    ],
)
def test_unknown_names_and_sizes_are_refused(
    script: ModuleType, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        script.main(["--models", *arguments])
    assert message in capsys.readouterr().err


def test_one_model_is_measured(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--models", "--wirings", "luong", "--scores", "general", "--cell", "rnn"]
    arguments += ["--precisions", "float32", "--updates", "1", "--tokens", "8", "--length", "3"]
    assert script.main([*arguments, "--vocabulary", "30"]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    peak = float(re.fullmatch(r"largest: luong with general in float32 \((.*) MB\)", last)[1])
    assert 100 < peak < 1_500, "Python and torch take more than 100 MB"
