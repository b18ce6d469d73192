"""The measurement of the data pipeline, with a small corpus and one process for each stage."""

import re
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    module: ModuleType = load_script("measure_cache_memory")
    return module


def test_generated_targets_are_reversed_sources(script: ModuleType, tmp_path: Path) -> None:
    files = script.files_in(tmp_path)
    script.generate(files, 30)
    sources, targets = (path.read_text().splitlines() for path in (files.source, files.target))
    assert len(sources) == 30
    assert [line.split()[::-1] for line in sources] == [line.split() for line in targets]
    assert all(3 <= len(line.split()) <= 20 for line in sources)


@pytest.mark.slow
def test_a_row_for_each_number_of_pairs(
    script: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(script, "in_new_process", lambda stage, *arguments: stage(*arguments))
    words = ["script", "--pairs", "2000", "--processes", "1", "--folder", str(tmp_path)]
    monkeypatch.setattr("sys.argv", words)
    script.main()
    title, _, row = capsys.readouterr().out.splitlines()
    assert title.count("|") == row.count("|") == len(script.COLUMNS) + 1
    assert re.match(r"\| 2,000 \| [\d,]+ \| [\d.]+ \([\d.]+\) \|", row)
    assert list(tmp_path.iterdir()) == [], "the corpus and its cache are deleted"
