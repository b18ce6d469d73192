"""`nmt demo`: in an empty folder, in a folder with a run, and from a wheel."""

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nmt.cli import demo

ROOT = Path(__file__).resolve().parents[2]
PACKAGED = ROOT / "nmt/toy/toy.yaml"
SHORT = ("training.max_updates=2", "training.schedule.warmup=0")


@pytest.fixture
def in_empty_folder(tmp_path: Path) -> Iterator[Path]:
    with contextlib.chdir(tmp_path):
        yield tmp_path


@pytest.fixture
def small_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_SIZES", {"train": 60, "valid": 5, "test": 5})


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Record the commands of the tour instead of running them; the last one fails."""
    ran: list[list[str]] = []

    def run(command: list[str], check: bool) -> SimpleNamespace:
        ran.append(command[3:])
        return SimpleNamespace(returncode=7 if "--plot" in command else 0)

    monkeypatch.setattr(demo, "subprocess", SimpleNamespace(run=run))
    return ran


def test_a_tour_in_an_empty_folder(
    nmt: Any, in_empty_folder: Path, small_corpus: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = []

    def run(command: list[str], check: bool) -> SimpleNamespace:
        assert command[:3] == [sys.executable, "-Pm", "nmt"]
        outcomes.append(nmt(*command[3:]))
        return SimpleNamespace(returncode=outcomes[-1].code)

    monkeypatch.setattr(demo, "subprocess", SimpleNamespace(run=run))
    tour = nmt("demo", *SHORT)
    assert tour.code == 0, outcomes[-1].err
    trained, evaluated, aligned, _, _ = outcomes
    assert "update 2" in trained.err
    assert re.match(r"BLEU +[0-9.]+  nrefs:1", evaluated.out)
    assert re.search(r"alignment error rate \d", aligned.err)
    assert len(Path("data/toy/tour.de").read_text(encoding="utf-8").splitlines()) == 3
    pictures = [Path(f"runs/toy/plots/{number}.png") for number in (1, 2, 3)]
    assert all(picture.stat().st_size > 1_000 for picture in pictures)
    assert tour.out.count("\n$ nmt ") == 5
    assert "$ nmt train configs/toy.yaml training.max_updates=2" in tour.out
    again = nmt("demo", *SHORT)
    assert again.code == 0
    assert "the run is already finished" in outcomes[5].err


def test_a_run_that_exists_is_resumed_and_never_deleted(
    in_empty_folder: Path, small_corpus: None, commands: list[list[str]]
) -> None:
    assert demo.run(demo.Arguments(overrides=["seed=2"])) == 7, "the code of the step that failed"
    Path("runs/toy").mkdir(parents=True)
    assert demo.run(demo.Arguments(overrides=[], plugins=["a.py"])) == 7
    first, second = (words for words in commands if words[0] == "train")
    assert first == ["train", "configs/toy.yaml", "seed=2"]
    assert second == ["train", "configs/toy.yaml", "--resume", "--plugin=a.py"]
    assert commands[-1][-1] == "--plugin=a.py"
    assert not [words for words in commands if "--overwrite" in words]


def test_files_that_exist_are_kept(
    in_empty_folder: Path, small_corpus: None, commands: list[list[str]]
) -> None:
    Path("configs").mkdir()
    Path("configs/toy.yaml").write_text("mine")
    demo.run(demo.Arguments(overrides=[]))
    corpus = Path("data/toy/train.en")
    assert len(corpus.read_text(encoding="utf-8").splitlines()) == 60
    corpus.write_text("mine")
    demo.run(demo.Arguments(overrides=[]))
    assert (corpus.read_text(), Path("configs/toy.yaml").read_text()) == ("mine", "mine")


def test_a_corpus_that_was_interrupted_is_written_again(
    in_empty_folder: Path, small_corpus: None, commands: list[list[str]]
) -> None:
    Path("data/toy").mkdir(parents=True)
    for split in ("train", "valid"):
        Path(f"data/toy/{split}.en").touch()
    demo.run(demo.Arguments(overrides=[]))
    assert len(Path("data/toy/train.en").read_text(encoding="utf-8").splitlines()) == 60


def test_pictures_are_left_out_without_matplotlib(
    in_empty_folder: Path,
    small_corpus: None,
    commands: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert demo.run(demo.Arguments(overrides=[])) == 0
    assert [words[0] for words in commands] == ["train", "evaluate", "align", "translate"]
    assert "left out, as matplotlib is not installed; pip install 'nmt[plots]'" in (
        capsys.readouterr().out
    )


def test_the_configuration_is_that_of_the_package(
    in_empty_folder: Path, small_corpus: None, commands: list[list[str]]
) -> None:
    demo.run(demo.Arguments(overrides=[]))
    assert Path("configs/toy.yaml").read_bytes() == PACKAGED.read_bytes()
    assert (ROOT / "configs/toy.yaml").resolve() == PACKAGED


@pytest.mark.slow
def test_demo_from_a_wheel_in_an_empty_folder(tmp_path: Path) -> None:
    if importlib.util.find_spec("setuptools") is None or importlib.util.find_spec("pip") is None:
        pytest.skip("needs pip and setuptools, as tests install nothing from the network")
    source, site, folder = tmp_path / "source", tmp_path / "site", tmp_path / "folder"
    shutil.copytree(ROOT / "nmt", source / "nmt")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-index", "--no-build-isolation", "./source"]
    subprocess.run([*pip, *build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("nmt-*.whl")
    target = ["install", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run([*pip, *target], cwd=tmp_path, check=True, capture_output=True)
    folder.mkdir()
    command = [sys.executable, "-m", "nmt", "demo", *SHORT]
    environment = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "runs/toy/plots/3.png").is_file()
    where = [sys.executable, "-c", "import nmt; print(nmt.__file__)"]
    found = subprocess.run(where, cwd=folder, env=environment, capture_output=True, text=True)
    assert Path(found.stdout.strip()) == site / "nmt/__init__.py"
