"""Target tokens per second of `nmt train`, by the number of torchrun processes.

    python scripts/benchmark_ranks.py [--ranks 1 2] [--rounds 3] [--updates 60] [--threads 1]
           [--batch-tokens 4000] [--precision auto] [--set KEY=VALUE ...]

The model of benchmark_training.py is trained on generated words, in sentences as long as those of
Multi30k. Each round trains once from scratch with each number of processes. The speed is that of
the second half of the updates, from `metrics.jsonl`. Prints a Markdown table.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.ways import FIRST_WORD, Sizes, draw_batches

CONFIG = """
data: {train: {source: source, target: target}}
tokenizer: {name: words, vocabulary_size: 8000}
model:
  embedding: {size: 256, dropout: 0.3, tie: all}
  encoder: {hidden_size: 256, dropout: 0.3}
  bridge: mean
  attention: {score: {name: additive, hidden_size: 512}}
  decoder: {hidden_size: 512, dropout: 0.0, output_dropout: 0.3}
training:
  max_epochs: null
  early_stopping: null
  validation: {metrics: [], best: loss}
  checkpoints: {every: null}
"""


def main(arguments: list[str] | None = None) -> int:
    """Run with these arguments (default: `sys.argv`) and return the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.updates < 2 or given.updates % 2:
        parser.error(f"--updates: must be even and at least 2, not {given.updates}")
    speeds: dict[int, list[float]] = {number: [] for number in given.ranks}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_corpus(folder, num_batches=max(40, given.updates))
        for round_number in range(given.rounds):
            for number in given.ranks:
                run = folder / f"{number}-{round_number}"
                train(folder, run, number, given)
                speeds[number].append(speed(run, given.updates))
    print("\n".join(table(speeds)))
    return 0


def write_corpus(folder: Path, num_batches: int) -> None:
    """Write a corpus of generated words, and the configuration."""
    (folder / "config.yaml").write_text(CONFIG)
    sides: dict[str, list[str]] = {"source": [], "target": []}
    for batch in draw_batches(Sizes(), num_batches):
        for side, rows in sides.items():
            for row in getattr(batch, side).tolist():
                rows.append(" ".join(f"w{word}" for word in row if word >= FIRST_WORD))
    for side, rows in sides.items():
        (folder / side).write_text("\n".join(rows) + "\n")


def train(folder: Path, run: Path, number: int, given: argparse.Namespace) -> None:
    """Train with this number of processes; if the training fails, print its output."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number)]
    options = [
        f"run={run}",
        f"precision={given.precision}",
        f"training.batch_tokens={given.batch_tokens}",
        f"training.max_updates={given.updates}",
        f"training.log_every={given.updates // 2}",
        *given.set,
    ]
    command = [sys.executable, *(launcher if number > 1 else []), "-m", "nmt", "train"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(given.threads)}
    ended = subprocess.run(
        [*command, "config.yaml", *options],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        print(ended.stderr, end="", file=sys.stderr)
        raise SystemExit(f"--ranks {number}: the training has failed")


def speed(run: Path, update: int) -> float:
    """Return the target tokens per second, averaged over the updates up to this one."""
    rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    found = [row for row in rows if row["kind"] == "train" and row["update"] == update]
    return float(found[0]["tokens_per_second"])


def table(speeds: dict[int, list[float]]) -> list[str]:
    """Return a Markdown table with one row for each number of processes."""
    first = statistics.median(next(iter(speeds.values())))
    lines = ["| processes | target tokens/s, median (all) | against the first |", "|---|---|---|"]
    for number, values in speeds.items():
        every = ", ".join(f"{value:,.0f}" for value in sorted(values))
        median = statistics.median(values)
        lines.append(f"| {number} | {median:,.0f} ({every}) | {median / first:.2f} |")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--ranks", type=int, nargs="+", default=[1, 2], metavar="N", help="default: 1 2")
    add("--rounds", type=int, default=3, metavar="N", help="default: 3")
    add("--updates", type=int, default=60, metavar="N", help="of a training, even; default: 60")
    add("--threads", type=int, default=1, metavar="N", help="of each process; default: 1")
    add("--batch-tokens", type=int, default=4000, metavar="N", help="default: 4000")
    add("--precision", default="auto", help="default: auto")
    add("--set", nargs="*", default=[], metavar="KEY=VALUE", help="further options of nmt train")
    return parser


if __name__ == "__main__":
    sys.exit(main())
