"""Train variants of one configuration with the same budget, and print a table of results.

    python scripts/compare_variants.py configs/toy.yaml --variants scripts/variants/toy.yaml

The file of variants maps each name to its options, written as on the command line of `nmt train`:
`entmax: [model.attention.alignment=entmax]`. Runs are written to RUNS/NAME. An interrupted
comparison can be run again: it reads runs that have ended and resumes the others. Options
(KEY=VALUE) are set in all variants. Exits with 1 if a training failed; the others are still run.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

HEADER = "| variant | validation | test BLEU | parameters | training |\n|---|---|---|---|---|"


@dataclass(frozen=True)
class Outcome:
    """Result of a run.

    Attributes:
        metric: the name of the validation metric.
        validation: its best value.
        test: BLEU of the test set, with the configured search; None without a test set.
        num_parameters: number of parameters of the model.
        seconds: seconds of training, validations included.
    """

    metric: str
    validation: float
    test: float | None
    num_parameters: int
    seconds: float


def main(arguments: list[str] | None = None) -> int:
    """Run with these arguments (default: `sys.argv`) and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", metavar="CONFIG", type=Path)
    parser.add_argument("--variants", metavar="FILE", type=Path, required=True)
    parser.add_argument("--only", metavar="NAMES", help="some of them, with commas between")
    parser.add_argument("--runs", metavar="FOLDER", type=Path, default=Path("runs/variants"))
    parser.add_argument("options", metavar="KEY=VALUE", nargs="*")
    given = parser.parse_intermixed_args(arguments)
    variants = read_variants(given.variants)
    wanted = list(variants) if given.only is None else given.only.split(",")
    if unknown := [name for name in wanted if name not in variants]:
        parser.error(
            f"{given.variants}: no variant {unknown[0]!r}; there are {', '.join(variants)}"
        )
    print(HEADER, flush=True)
    complete = True
    for name in wanted:
        named = {option.partition("=")[0]: option for option in [*given.options, *variants[name]]}
        options = list(named.values())  # those of the variant replace the given ones
        outcome = train(given.config, given.runs / name, options)
        complete = complete and outcome is not None
        print(row(name, outcome), flush=True)
    return 0 if complete else 1


def read_variants(path: Path) -> dict[str, list[str]]:
    """Return the options of each variant, by name."""
    variants: dict[str, list[str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return variants


def train(config: Path, run: Path, options: list[str]) -> Outcome | None:
    """Train or resume a variant; return None if that fails, with the error on stderr."""
    results = run / "results.json"
    if not results.exists():
        resume = ["--resume"] if (run / "config.yaml").exists() else []
        command = [sys.executable, "-m", "nmt", "train", str(config), f"run={run}", *options]
        ended = subprocess.run([*command, *resume], capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            print(f"{run.name}: {ended.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return None
    return read_outcome(results)


def read_outcome(path: Path) -> Outcome:
    """Read the result of a run from `results.json`."""
    results = json.loads(path.read_text(encoding="utf-8"))
    test = {score["name"]: score["value"] for score in results["test"] or []}
    return Outcome(
        results["best"]["metric"],
        results["best"]["best"],
        test.get("bleu"),
        results["num_parameters"],
        results["training_seconds"],
    )


def row(name: str, outcome: Outcome | None) -> str:
    """Return a line of the table."""
    if outcome is None:
        return f"| {name} | failed | | | |"
    test = "" if outcome.test is None else f"{outcome.test:.2f}"
    return (
        f"| {name} | {outcome.metric} {outcome.validation:.2f} | {test} "
        f"| {outcome.num_parameters / 1e6:.2f}M | {outcome.seconds:,.0f} s |"
    )


if __name__ == "__main__":
    sys.exit(main())
