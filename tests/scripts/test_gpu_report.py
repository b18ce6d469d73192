import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.integration.conftest import write_corpus

pytestmark = pytest.mark.usefixtures("unchecked")
CPU = torch.device("cpu")
DECODERS = {"bahdanau", "luong, input feeding", "luong, no input feeding"}


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    module: ModuleType = load_script("gpu_report")
    return module


def test_a_machine_without_a_gpu_is_refused(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert script.main(["--out", str(tmp_path / "report.md")]) == 2
    assert capsys.readouterr().err.startswith("gpu_report: error: --device: cuda not found on this")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["training", "search", "profile"])
def test_measures_of_a_tiny_size(script: ModuleType, name: str) -> None:
    text = "\n".join(script.MEASURES[name](CPU, script.TINY))
    rows = [line.split("|") for line in text.splitlines() if line.startswith("|")][2:]
    if name == "profile":
        assert "Self CPU" in text and "FusedBahdanau" in text
    elif name == "search":
        assert [row[2].strip() for row in rows][:2] == ["1", "2"]
        assert all(float(row[3]) > 0 for row in rows)
    else:
        assert {row[1].strip() for row in rows} == DECODERS
        assert all(float(row[5].replace(",", "")) > 0 for row in rows)


def test_the_report_has_the_machine_and_each_part(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "report.md"
    monkeypatch.setattr(script, "run_tests", lambda device, limit: 1 / 0)
    monkeypatch.setattr(script, "run_multi30k", lambda device, limit: f"within {limit:.0f} s")
    assert script.main(["--device", "cpu", "--out", str(out), "--parts", "tests", "multi30k"]) == 0
    text = out.read_text()
    assert f"| torch | {torch.__version__}, " in text
    assert re.search(r"\| commit \| ([0-9a-f]{40} |unknown)", text)
    assert "## Tests\n\n**Failed**: ZeroDivisionError: division by zero\n" in text
    assert "## Multi30k de-en to 38 BLEU\n\nwithin 180 s\n\n(0 s of at most 180 s)\n" in text


def test_parts_share_the_time_of_all(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "report.md"
    monkeypatch.setattr(script, "TOTAL_SECONDS", 0)
    assert script.main(["--device", "cpu", "--out", str(out)]) == 0
    assert out.read_text().count("Left out: no time is left.") == 5


def test_a_measure_runs_in_a_process_of_its_own(script: ModuleType) -> None:
    assert script.run_part("search", CPU, 100.0).startswith("Beam 5; 3 tokens a source")


def test_a_measure_that_takes_too_long_is_ended(script: ModuleType) -> None:
    text = script.run_part("training", CPU, 0.3)
    assert text.startswith("**Failed**: took more than 0 s")


def test_commands_that_fail_or_take_too_long(script: ModuleType) -> None:
    slow = "print('so far', flush=True); import time; time.sleep(100)"
    assert script.run_command([sys.executable, "-c", slow], 3.0) == (None, "so far")
    assert script.run_command([sys.executable, "-c", "exit('no')"], 60.0) == (1, "no")
    text = script.explain_failure(1, "\n".join(map(str, range(100))), 60.0)
    assert text.startswith("**Failed**: exit code 1\n\n```\n40\n") and text.endswith("99\n```")


def test_failed_tests_are_shown(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "run_command", lambda *_: (1, "F.\n1 failed, 1 passed"))
    assert (
        script.run_tests(CPU, 9.0) == "**Failed**: exit code 1\n\n```\nF.\n1 failed, 1 passed\n```"
    )
    monkeypatch.setattr(script, "run_command", lambda *_: (0, "..\n2 passed"))
    assert script.run_tests(CPU, 9.0) == "```\n2 passed\n```"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    text = (folder / "tiny.yaml").read_text()
    for name in ("train", "valid", "test"):
        text = text.replace(f" {name}.", f" {folder}/{name}.")
    path = folder / "absolute.yaml"
    path.write_text(text.replace("max_epochs: 16", "max_epochs: 1"))
    return path


@pytest.mark.parametrize(("target", "result"), [(0.0, "Reached after "), (101.0, "Not reached. ")])
def test_time_to_a_bleu(script: ModuleType, config: Path, target: float, result: str) -> None:
    text = script.train_to(target, str(config), ["training.validation.every=1"], 60.0)
    assert text.startswith(result), text
    assert "| 1 | " in text


def test_a_training_that_fails(script: ModuleType, config: Path) -> None:
    text = script.train_to(1.0, str(config), ["training.clip_nrm=1"], 60.0)
    assert text.startswith("**Failed**: exit code 2") and "training.clip_nrm" in text


def test_multi30k_is_left_out(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(script, "ROOT", tmp_path)
    assert script.run_multi30k(CPU, 60.0).startswith("Left out: data/multi30k is not there; make")
    (tmp_path / "data/multi30k").mkdir(parents=True)
    assert script.run_multi30k(CPU, 60.0) == "Left out: it takes many minutes on a CPU."


def test_a_line_that_is_being_written_is_not_read(script: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert script.read_validations(path) == []
    whole = '{"kind": "train", "update": 5}\n'
    whole += '{"kind": "validation", "update": 5, "scores": {"bleu": 3.5}}\n'
    path.write_text(whole + '{"kind": "valid')
    assert script.read_validations(path) == [(5, 3.5)]
