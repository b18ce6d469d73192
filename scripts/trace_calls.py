"""Counts of the functions and files of nmt entered to translate a line, and to make an update.

    python scripts/trace_calls.py [RUN] [--crossings N]

Translates one line from file to file with `nmt translate`, under `sys.setprofile`. Without RUN, a
small run is trained in a temporary folder, and one of its updates is traced too. An update has all
calls from one step of the optimizer to the next. A file change is a call or a return in another
file of nmt than the previous call or return. Code that runs while a module is imported is not
counted. Prints a table, and the pairs of files with the most changes.
"""

import argparse
import contextlib
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import nmt
from nmt.cli.main import main as run_nmt
from nmt.config.file import load_config
from nmt.training.optim.optimizer import apply_gradients

ROOT = f"{Path(nmt.__file__).parent}/"
TRACED_UPDATE = 5
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
CONFIG = """
run: run
device: cpu
precision: float32
data: {train: {source: train.en, target: train.de}, valid: {source: valid.en, target: valid.de}}
tokenizer: {name: words}
model:
  embedding: {size: 16}
  encoder: {hidden_size: 16}
  decoder: {hidden_size: 32}
training:
  batch_tokens: 100
  max_epochs: null
  max_updates: 10
  early_stopping: null
  validation: {every: 10, num_samples: 0, metrics: [], best: loss}
decoding: {max_length: 5}
"""


@dataclass
class Trace:
    """Functions and files that were entered.

    Attributes:
        functions: code of the functions of nmt, without modules and class bodies.
        files: files of nmt, relative to its folder.
        changes: pair of files (from, to) -> number of changes.
        num_loads: how often a configuration was loaded.
        num_steps: steps of the optimizer.
        step: record only the calls between this step and the next; None: all calls.
    """

    functions: set[CodeType] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    changes: Counter[tuple[str, ...]] = field(default_factory=Counter)
    num_loads: int = 0
    num_steps: int = 0
    step: int | None = None
    _last_file: str | None = None

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Record the calls of this thread."""
        before = sys.getprofile()
        sys.setprofile(self._see)
        try:
            yield
        finally:
            sys.setprofile(before)

    def _see(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event not in ("call", "return") or not _is_function(code):
            return
        if code is apply_gradients.__code__ and event == "return":
            self.num_steps += 1
        if self.step is not None and self.num_steps != self.step:
            if self.num_steps > self.step:
                sys.setprofile(None)  # profiling slows training down
            return
        file = code.co_filename.removeprefix(ROOT)
        if event == "call":
            self.functions.add(code)
            self.files.add(file)
            self.num_loads += code is load_config.__code__
        if self._last_file not in (None, file):
            self.changes[tuple(sorted((str(self._last_file), file)))] += 1
        self._last_file = file

    def row(self, name: str) -> str:
        """Return a line of the table."""
        numbers = [len(self.functions), len(self.files), self.changes.total(), self.num_loads]
        return f"{name:<10}" + "".join(f"{number:>15,}" for number in numbers)


def _is_function(code: CodeType) -> bool:
    """Return whether code is a function of nmt, not the body of a module or class."""
    return code.co_filename.startswith(ROOT) and bool(code.co_flags & 2)  # CO_NEWLOCALS


def write_corpus(folder: Path) -> None:
    """Write a configuration, and a corpus of number words where source and target are equal."""
    rng = random.Random(0)
    for split, size in (("train", 100), ("valid", 5)):
        lines = "".join(
            f"{' '.join(rng.choices(WORDS, k=rng.randint(2, 5)))} .\n" for _ in range(size)
        )
        for language in ("en", "de"):
            (folder / f"{split}.{language}").write_text(lines)
    (folder / "config.yaml").write_text(CONFIG)


def run(*arguments: object) -> None:
    """Run a command of nmt.

    Raises:
        SystemExit: the command failed.
    """
    if run_nmt([str(argument) for argument in arguments]) != 0:
        raise SystemExit("the command that is traced has failed")


def trace_update(folder: Path) -> Trace:
    """Train a small run in a folder, and trace one of its updates."""
    write_corpus(folder)
    trace = Trace(step=TRACED_UPDATE)
    with contextlib.chdir(folder), trace.recording():
        run("train", "config.yaml")
    return trace


def trace_translation(model: Path, folder: Path) -> Trace:
    """Trace the translation of one line, after a first translation has imported all modules."""
    (folder / "line").write_text("one two three four .\n")
    command = ("translate", model, folder / "line", "-o", folder / "translation")
    run(*command)
    trace = Trace()
    with trace.recording():
        run(*command)
    return trace


def report(traces: dict[str, Trace], num_crossings: int) -> None:
    """Print the table, and the most frequent changes between files."""
    heads = ("functions", "files", "file changes", "configurations")
    print(" " * 10 + "".join(f"{head:>15}" for head in heads))
    for name, trace in traces.items():
        print(trace.row(name))
    for name, trace in traces.items():
        print(f"\nmost file changes of {name}:")
        for pair, number in trace.changes.most_common(num_crossings):
            print(f"{number:>6,}  {' - '.join(pair)}")


def main() -> None:
    """Trace, and print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", nargs="?", type=Path, help="a trained run")
    parser.add_argument(
        "--crossings", metavar="N", type=int, default=10, help="pairs to show (default: 10)"
    )
    arguments = parser.parse_args()
    traces: dict[str, Trace] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = arguments.run
        if model is None:
            traces["update"] = trace_update(folder)
            model = folder / "run"
        report({"translate": trace_translation(model, folder)} | traces, arguments.crossings)


if __name__ == "__main__":
    main()
