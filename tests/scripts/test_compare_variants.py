import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nmt.config.file import load_config

ROOT = Path(__file__).parents[2]
RESULTS = {
    "num_parameters": 5_930_560,
    "training_seconds": 2323.9,
    "best": {"metric": "bleu", "best": 36.953},
    "test": [{"name": "chrf", "value": 58.2}, {"name": "bleu", "value": 39.279}],
}


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    return load_script("compare_variants")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The trainings that were started; those of a run named `bad` fail, the others end."""
    seen: list[Sequence[str]] = []

    def start(command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        seen.append(command[3:])
        run = Path(next(word for word in command if word.startswith("run=")).removeprefix("run="))
        if run.name == "bad":
            return subprocess.CompletedProcess(command, 2, stderr="progress\nnmt: error: no\n")
        run.mkdir(parents=True, exist_ok=True)
        (run / "results.json").write_text(json.dumps(RESULTS))
        return subprocess.CompletedProcess(command, 0, stderr="")

    monkeypatch.setattr(subprocess, "run", start)
    return seen


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    (tmp_path / "variants.yaml").write_text("plain: []\nbad: [a.b=1]\nother: [a.b=2]\n")
    return ["c.yaml", "--variants", f"{tmp_path / 'variants.yaml'}", "--runs", f"{tmp_path}"]


def test_the_table(script: ModuleType, commands: list, arguments: list[str], capsys) -> None:
    assert script.main([*arguments, "x.y=3"]) == 1
    told = capsys.readouterr()
    assert told.out.splitlines()[2:] == [
        "| plain | bleu 36.95 | 39.28 | 5.93M | 2,324 s |",
        "| bad | failed | | | |",
        "| other | bleu 36.95 | 39.28 | 5.93M | 2,324 s |",
    ]
    assert told.err == "bad: nmt: error: no\n"
    runs = Path(arguments[-1])
    assert commands[2] == ["train", "c.yaml", f"run={runs / 'other'}", "x.y=3", "a.b=2"]


def test_finished_variants_are_read_and_started_ones_resumed(
    script: ModuleType, commands: list, arguments: list[str]
) -> None:
    runs = Path(arguments[-1])
    for name in ("plain", "other"):
        (runs / name).mkdir()
        (runs / name / "config.yaml").touch()
    (runs / "plain" / "results.json").write_text(json.dumps(RESULTS))
    assert script.main([*arguments, "--only", "plain,other"]) == 0
    assert commands == [["train", "c.yaml", f"run={runs / 'other'}", "a.b=2", "--resume"]]


def test_an_unknown_variant_is_named(script: ModuleType, arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit):
        script.main([*arguments, "--only", "plain,othr"])
    assert "no variant 'othr'; there are plain, bad, other" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variants", "config"), [("toy", "toy.yaml"), ("multi30k", "multi30k/de_en.yaml")]
)
def test_the_variants_that_are_here_can_be_trained(
    script: ModuleType, variants: str, config: str
) -> None:
    for options in script.read_variants(ROOT / "scripts/variants" / f"{variants}.yaml").values():
        load_config(ROOT / "configs" / config, options)
