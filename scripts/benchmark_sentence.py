"""Time to translate one sentence: the whole command from a cold start, and a warm call in Python.

    python scripts/benchmark_sentence.py INPUT MODEL ... [--words 15] [--rounds 5] [--threads 2]
           [--precision int8]

The sentence is the first of INPUT with this number of words; a MODEL is a run or an exported file.
The search options are those of the model (for the recipes here: beam 5). Each round measures all
models. The table has a row for each model: median and all times of the whole command,
`nmt translate MODEL`, and the median of 30 calls of `translate` in a new process per round.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

CALLS = 30


def main() -> int:
    """Time all models and print the table; with --warm, time only the calls in Python."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", metavar="INPUT", type=Path, help="text, a sentence a line")
    parser.add_argument("models", metavar="MODEL", nargs="+", help="a run, or an exported file")
    parser.add_argument("--words", type=int, default=15, metavar="N", help="default: 15")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="default: 2")
    parser.add_argument("--precision", help="of runs (default: as each was trained)")
    parser.add_argument("--warm", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.warm:
        print(call(arguments.models[0], arguments.precision, sys.stdin.read().strip()))
        return 0
    lines = arguments.input.read_text(encoding="utf-8").splitlines()
    sentence = next((line for line in lines if len(line.split()) == arguments.words), None)
    if sentence is None:
        sys.exit(f"{arguments.input}: no line has {arguments.words} words")
    cold: dict[str, list[float]] = {model: [] for model in arguments.models}
    warm: dict[str, list[float]] = {model: [] for model in arguments.models}
    for _ in range(arguments.rounds):
        for model in arguments.models:
            started = time.perf_counter()
            run(["-m", "nmt", "translate", model], model, sentence, arguments)
            cold[model].append(time.perf_counter() - started)
            again = [__file__, str(arguments.input), model, "--warm"]
            warm[model].append(float(run(again, model, sentence, arguments)))
    print("| model | the command, s, median (all) | once loaded, ms, median (all) |")
    print("|---|---|---|")
    for model in arguments.models:
        print(f"| {Path(model).name} | {show(cold[model], 2)} | {show(warm[model], 0)} |")
    return 0


def run(command: list[str], model: str, sentence: str, arguments: argparse.Namespace) -> str:
    """Run the command with the sentence on stdin and return its output."""
    precision = ["--precision", arguments.precision] if arguments.precision else []
    if not Path(model).is_dir():
        precision = []
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
    words = [sys.executable, *command, *precision]
    done = subprocess.run(
        words, input=f"{sentence}\n", text=True, capture_output=True, env=environment
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)}: {done.stderr}")
    return done.stdout


def call(model: str, precision: str | None, sentence: str) -> float:
    """Return the median time of a warm call, in milliseconds."""
    from nmt import Translator
    from nmt.export.exported_translator import ExportedTranslator

    translator: Translator | ExportedTranslator
    if Path(model).is_dir():
        translator = Translator.from_run(model, device="cpu", precision=precision)
    else:
        translator = ExportedTranslator.open(Path(model))
    translator.translate([sentence])
    times = []
    for _ in range(CALLS):
        started = time.perf_counter()
        translator.translate([sentence])
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def show(values: list[float], digits: int) -> str:
    """Format the median, followed by all values in ascending order."""
    every = ", ".join(f"{value:.{digits}f}" for value in sorted(values))
    return f"{statistics.median(values):.{digits}f} ({every})"


if __name__ == "__main__":
    sys.exit(main())
