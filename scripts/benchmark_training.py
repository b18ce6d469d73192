"""Milliseconds per update, compared with a textbook training loop, and how they scale.

    python scripts/benchmark_training.py [--rounds 5] [--updates 10] [--threads 2]
           [--ways textbook-kept plain fused bfloat16] [--vocabulary 8000] [--hidden 512]
           [--length 15] [--sentences 64] [--kinds] [--profile]
    python scripts/benchmark_training.py --grow vocabulary|hidden|length [--to 8000 64000]

The model has an embedding of 256 tied with the projection, and a bidirectional GRU encoder with
half the decoder's size in each direction. Its decoder has a GRU of 512, additive attention of 512,
and a deep output. Adam trains it on batches of 64 generated pairs, as long as those of Multi30k (15
pieces). The textbook is the same model with the same weights, in float32. `nn.GRU` reads the
source, then each step runs attention, `nn.GRUCell` and the projection. Its loss is `cross_entropy`
over all logits.

Each way runs in its own process, and all make the same updates in turn. Medians and their ratios
are printed as a Markdown table, with the share of the machine's limit that is reached. The limit is
the time of an update's matrix products at the rate of one large product, measured in the same
rounds. The processes of this package keep freed memory, as `nmt train` does. The textbook leaves
that to the C library; textbook-kept keeps it too, which shows the effect.

--kinds shows where the time goes; --grow changes one size and keeps all others.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from benchmarks.kinds import KINDS, PARTS, table
from benchmarks.operations import SIDE, count_operations, large_product
from benchmarks.processes import (
    WayProcess,
    kinds_of_two,
    profile_of,
    seconds_of,
    started,
)
from benchmarks.ways import WAYS, Sizes, draw_batches

from nmt.core.batch import Batch
from nmt.system.device import has_bfloat16
from nmt.system.process import num_threads

GROWTH = {
    "vocabulary": [8000, 16000, 32000, 64000],
    "hidden": [256, 512, 1024],
    "length": [10, 25, 50, 100],
}
"""Sizes that --grow accepts, with the default values to measure."""
Seconds = dict[str, list[float]]


def main(arguments: list[str] | None = None) -> int:
    """Run with these arguments (default: `sys.argv`) and return the exit code."""
    given = _parser().parse_args(arguments)
    torch.set_num_threads(given.threads)
    names = [name for name in WAYS if name == "textbook" or name in given.ways]
    if not has_bfloat16(torch.device("cpu")):
        names = [name for name in names if WAYS[name].precision != torch.bfloat16]
        print("bfloat16 is left out: this CPU only emulates it\n")
    sizes = Sizes(given.vocabulary, given.embedding, given.hidden, given.length, given.sentences)
    if given.grow is not None:
        grow(sizes, names, given)
    else:
        compare(sizes, names, given)
    return 0


def compare(sizes: Sizes, names: list[str], given: argparse.Namespace) -> None:
    """Print the table of all ways, and where their time is spent."""
    kinds = {WAYS[name].precision: large_product(WAYS[name].precision) for name in names}
    products = {str(kind): product for kind, product in kinds.items()}
    with started(names, sizes, given.updates, given.threads) as processes:
        seconds = time_in_turn(processes, given.rounds, products)
        operations = mean_operations(sizes, draw_batches(sizes, given.updates))
        print("\n".join(compare_table(seconds, names, operations)))
        if given.kinds:
            measured = {name: process.do(kinds_of_two) for name, process in processes.items()}
            for index, (rows, title) in enumerate([(PARTS, "part"), (KINDS, "kind of operation")]):
                columns = {name: pair[index] for name, pair in measured.items()}
                print("\n" + "\n".join(table(columns, rows, title)))
        if given.profile:
            for name, process in processes.items():
                print(f"\n{name}\n{process.do(profile_of)}")


def grow(sizes: Sizes, names: list[str], given: argparse.Namespace) -> None:
    """Print a table with a row for each value of one size."""
    what, others = given.grow, [name for name in names if name != "textbook"]
    print(f"| {what} | GFLOP | {' | '.join(f'{name}, ms' for name in names)} |", end="")
    print(f" {' | '.join(f'textbook / {name}' for name in others)} |")
    print("|---" * (2 + len(names) + len(others)) + "|")
    for value in given.to or GROWTH[what]:
        of_value = replace(sizes, **{what: value})
        with started(names, of_value, given.updates, given.threads) as processes:
            seconds = time_in_turn(processes, given.rounds)
        medians = {name: statistics.median(seconds[name]) for name in names}
        operations = mean_operations(of_value, draw_batches(of_value, given.updates))
        cells = [f"{value:,}", f"{operations / 1e9:.1f}"]
        cells += [f"{1000 * median:.0f}" for median in medians.values()]
        cells += [f"{medians['textbook'] / medians[name]:.2f}" for name in others]
        print(f"| {' | '.join(cells)} |", flush=True)


def time_in_turn(
    processes: dict[str, WayProcess],
    rounds: int,
    products: dict[str, Callable[[], object]] | None = None,
) -> Seconds:
    """Return the seconds of each way's update and of each product, by round, after a warm-up."""
    products = products or {}
    seconds: Seconds = {name: [] for name in [*processes, *products]}
    for number in range(rounds + 1):
        found = {name: process.do(seconds_of) for name, process in processes.items()}
        for name, product in products.items():
            began = time.perf_counter()
            product()
            found[name] = time.perf_counter() - began
        for name, value in found.items() if number > 0 else ():
            seconds[name].append(value)
    return seconds


def mean_operations(sizes: Sizes, batches: list[Batch]) -> float:
    """Return the floating-point operations of an update, averaged over the batches."""
    return statistics.mean(count_operations(sizes, batch) for batch in batches)


def compare_table(seconds: Seconds, names: list[str], operations: float) -> list[str]:
    """Return the machine's limit and a table with one row for each way.

    Args:
        seconds: seconds of an update for each name, and of the large product for each precision.
        names: names of the ways, the textbook first.
        operations: floating-point operations of an update.
    """
    precisions = {name: str(WAYS[name].precision) for name in names}
    rates = {
        precision: 2 * SIDE**3 / statistics.median(seconds[precision])
        for precision in dict.fromkeys(precisions.values())
    }
    lines = [f"An update needs {operations / 1e9:.1f} GFLOP in matrix products."]
    for precision, rate in rates.items():
        lines.append(
            f"The machine's limit in {precision.removeprefix('torch.')}: {rate / 1e9:.0f} GFLOP/s, "
            f"{1000 * operations / rate:.0f} ms an update."
        )
    lines += [
        "",
        "| way | ms an update, median (all) | against the textbook | share of the limit |",
    ]
    lines.append("|---" * 4 + "|")
    first = statistics.median(seconds["textbook"])
    for name in names:
        median = statistics.median(seconds[name])
        every = ", ".join(f"{1000 * value:.0f}" for value in sorted(seconds[name]))
        share = 100 * operations / rates[precisions[name]] / median
        lines.append(
            f"| {name} | {1000 * median:.0f} ({every}) | {first / median:.2f} | {share:.0f}% |"
        )
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sizes = Sizes()
    ways = [name for name in WAYS if name != "textbook"]
    add = parser.add_argument
    add("--rounds", type=int, default=5, metavar="N", help="default: 5")
    add("--updates", type=int, default=10, metavar="N", help="of a round, default: 10")
    add("--threads", type=int, default=num_threads(), metavar="N", help="default: all cores")
    add("--ways", nargs="+", default=ways, choices=ways, metavar="WAY", help="besides the textbook")
    add("--vocabulary", type=int, default=sizes.vocabulary, metavar="V")
    add("--embedding", type=int, default=sizes.embedding, metavar="E")
    add("--hidden", type=int, default=sizes.hidden, metavar="H")
    add("--length", type=int, default=sizes.length, metavar="N", help="pieces, on average")
    add("--sentences", type=int, default=sizes.sentences, metavar="N", help="of a batch")
    add("--kinds", action="store_true", help="where the time goes, by part and kind of operation")
    add("--profile", action="store_true", help="where it goes, by the operation of torch")
    add("--grow", choices=list(GROWTH), help="have this size grow")
    add("--to", type=int, nargs="+", metavar="N", help="the sizes that --grow goes through")
    return parser


if __name__ == "__main__":
    sys.exit(main())
