"""A corpus, a small run that has learnt it, and the command line, in the process of the tests."""

import contextlib
import fcntl
import io
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nmt.cli.main import main
from nmt.training.logs import reporter

ENGLISH = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
GERMAN = ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"]

# Enough to learn the corpus below in seconds.
CONFIG = """
run: runs/tiny
device: cpu
precision: float32
data:
  train: {source: train.en, target: train.de}
  valid: {source: valid.en, target: valid.de}
  test: {source: test.en, target: test.de}
tokenizer: {name: words, shared: false}
model:
  embedding: {size: 16, dropout: 0}
  encoder: {hidden_size: 16, dropout: 0}
  decoder: {hidden_size: 32, output_dropout: 0}
training:
  batch_tokens: 200
  max_epochs: 16
  optimizer: {name: adam, learning_rate: 0.01}
  label_smoothing: 0
  validation: {every: 200, num_samples: 1}
"""


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Of stdout."""
        return self.out.splitlines()

    def assert_refused(self, *parts: str) -> None:
        """It is one clear line, which holds all of these, and nothing is on stdout."""
        assert self.code == 2, self.err
        errors = [line for line in self.err.splitlines() if line.startswith("nmt: error: ")]
        assert len(errors) == 1, self.err
        assert self.err.endswith(errors[0] + "\n"), "the error is the last word"
        assert "Traceback" not in self.err
        assert not [part for part in parts if part not in errors[0]], errors[0]
        assert self.out == ""


Command = Callable[..., Outcome]


def run_nmt(*arguments: object, stdin: bytes = b"") -> Outcome:
    """Run `nmt` with these arguments in this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin))))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(argument) for argument in arguments])
            out.flush()
    assert isinstance(out.buffer, io.BytesIO)
    return Outcome(code, out.buffer.getvalue().decode(), err.getvalue())


def write_corpus(folder: Path) -> None:
    """Number words, and as their translation the same numbers in German, backwards."""
    rng = random.Random(0)
    for split, size in (("train", 400), ("valid", 20), ("test", 20)):
        pairs = [[rng.randrange(10) for _ in range(rng.randint(2, 5))] for _ in range(size)]
        english = [" ".join(ENGLISH[n] for n in pair) + " ." for pair in pairs]
        german = [" ".join(GERMAN[n] for n in reversed(pair)) + " ." for pair in pairs]
        links = [
            " ".join(f"{i}-{len(pair) - 1 - i}" for i in range(len(pair)))
            + f" {len(pair)}-{len(pair)}"
            for pair in pairs
        ]
        for suffix, lines in (("en", english), ("de", german), ("align", links)):
            (folder / f"{split}.{suffix}").write_text("".join(f"{line}\n" for line in lines))
    (folder / "tiny.yaml").write_text(CONFIG)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the corpus, tiny.yaml and the run runs/tiny; for reading only."""
    folder = tmp_path_factory.mktemp("trained")
    write_corpus(folder)
    with contextlib.chdir(folder):
        outcome = run_nmt("train", "tiny.yaml")
    assert outcome.code == 0, outcome.err
    assert outcome.out == ""
    return folder


@pytest.fixture(scope="session")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run as a file, made in a process of its own, without the checks of shapes.

    This takes half a minute, so one worker of pytest-xdist makes it for all.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the workers' folders are in it
    path = folder / "exported/tiny.onnx"
    path.parent.mkdir(exist_ok=True)
    with (folder / "export.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            command = [sys.executable, "-m", "nmt", "export", "runs/tiny", "-o", str(path)]
            ended = subprocess.run(command, capture_output=True, text=True, cwd=trained)
            assert ended.returncode == 0, ended.stderr
            assert "on 32 sentences of random tokens: 32 identical translations" in ended.stderr
            assert os.listdir(path.parent) == ["tiny.onnx"]
    return path


@pytest.fixture(autouse=True)
def _draw_no_curves(unchecked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than such trainings; that of `trained` draws, and looks at shapes."""
    monkeypatch.setattr(reporter, "plot_learning_curves", lambda panels, path: None)


@pytest.fixture
def nmt() -> Command:
    """Run `nmt` with these arguments in this process."""
    return run_nmt


@pytest.fixture
def in_trained(trained: Path) -> Iterator[Path]:
    """The working directory is the folder of `trained`, which the test must leave as it is."""
    with contextlib.chdir(trained):
        yield trained


@pytest.fixture
def in_copy(trained: Path, tmp_path: Path) -> Iterator[Path]:
    """The working directory is a copy of the folder of `trained`, to do anything to."""
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    with contextlib.chdir(copy):
        yield copy


Measure = Callable[..., tuple[int, float, float]]


@pytest.fixture
def measure() -> Measure:
    """Run `nmt` in a folder, as a process: exit code, seconds of CPU time, most bytes at once."""

    def run(folder: Path, *arguments: str) -> tuple[int, float, float]:
        command = [sys.executable, "-m", "nmt", *arguments]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
        ) as process:
            assert process.stdin is not None and process.stderr is not None
            process.stdin.write(b"one two .\n")
            process.stdin.close()
            errors = process.stderr.read().decode()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert "Traceback" not in errors
        assert process.returncode == 0 or errors.splitlines()[-1].startswith("nmt: error: ")
        return process.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024.0

    return run


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, bytes]]:
    """What is in a folder, to tell whether anything was lost."""

    def take(folder: Path) -> dict[str, bytes]:
        paths = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
        return {str(path): path.read_bytes() for path in paths}

    return take
