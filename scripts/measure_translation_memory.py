"""Peak memory of `nmt translate` for a short and a long file: it must not grow with the input.

    python scripts/measure_translation_memory.py [--lines 2000 200000]

A small model is trained for one update in a temporary folder (its quality does not matter). Then
the whole command translates files of random words, and the peak resident memory of its process is
printed. Exits with 1 if the longest file needs over 100 MB more than the shortest.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

ALLOWED_MEGABYTES = 100

CONFIG = """
run: {folder}/run
data:
  train: {{source: {folder}/train.source, target: {folder}/train.target}}
tokenizer: {{name: words}}
model:
  embedding: {{size: 32}}
  encoder: {{hidden_size: 32}}
  decoder: {{hidden_size: 64}}
training: {{max_updates: 1, early_stopping: null, validation: {{metrics: [], best: loss}}}}
decoding: {{max_length: 10}}
"""


def main() -> int:
    """Measure, and print a line for each file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, nargs="+", default=[2_000, 200_000], metavar="N")
    parser.add_argument("--beam-size", type=int, default=1, metavar="N")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_lines(folder / "train.source", 1_000, seed=1)
        write_lines(folder / "train.target", 1_000, seed=2)
        (folder / "config.yaml").write_text(CONFIG.format(folder=folder), encoding="utf-8")
        run_nmt("train", str(folder / "config.yaml"))
        peaks = [measure(folder, lines, arguments.beam_size) for lines in arguments.lines]
    growth = max(peaks) - min(peaks)
    print(f"difference: {growth:.0f} MB (allowed: {ALLOWED_MEGABYTES} MB)")
    return int(growth > ALLOWED_MEGABYTES)


def measure(folder: Path, num_lines: int, beam_size: int) -> float:
    """Return the peak memory, in megabytes, of translating a file with this number of lines."""
    source, output = folder / "source", folder / "output"
    write_lines(source, num_lines, seed=3)
    started = time.monotonic()
    peak = run_nmt(
        "translate",
        str(folder / "run"),
        str(source),
        "-o",
        str(output),
        "--beam-size",
        str(beam_size),
        "--device",
        "cpu",
    )
    seconds = time.monotonic() - started
    with output.open(encoding="utf-8") as file:
        num_out = sum(1 for _ in file)
    assert num_out == num_lines, f"{num_lines} lines went in, {num_out} came out"
    print(
        f"{num_lines:,} lines: peak {peak:.0f} MB, {num_lines / seconds:,.0f} lines/s", flush=True
    )
    return peak


def run_nmt(*arguments: str) -> float:
    """Run the command line and return its peak resident memory in megabytes (10**6 bytes).

    The peak of a process includes the peak of the process it was forked from, so this script must
    not import heavy libraries.
    """
    process = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-m", "nmt", *arguments])
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        raise SystemExit(f"nmt {' '.join(arguments)} failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit / 1e6


def write_lines(path: Path, num_lines: int, seed: int) -> None:
    """Write sentences of 5 to 25 words, from 2,000 words."""
    rng = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(num_lines):
            words = (f"w{rng.randrange(2_000)}" for _ in range(rng.randint(5, 25)))
            file.write(" ".join(words) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
