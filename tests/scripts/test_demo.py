from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def script(load_script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    script: ModuleType = load_script("demo")
    monkeypatch.setattr(script, "ROOT", tmp_path)
    (tmp_path / script.CORPUS).mkdir(parents=True)
    return script


def first_command(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of the demo, which ends there with exit code 3."""
    commands = []
    monkeypatch.setattr(script, "run", lambda command: commands.append(list(command)) or 3)
    assert script.main() == 3
    return commands[0][1:]


def test_a_corpus_that_is_there_in_part_is_made_anew(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split in ("train", "valid"):
        (tmp_path / script.CORPUS / f"{split}.en").touch()
    assert first_command(script, monkeypatch)[0] == "scripts/prepare_toy.py"
    (tmp_path / script.CORPUS / "test.align").touch()
    assert first_command(script, monkeypatch)[:3] == ["-m", "nmt", "train"]
