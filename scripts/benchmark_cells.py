"""Training speed of each recurrent cell, as a ratio to the GRU.

    python scripts/benchmark_cells.py [--cells min_gru ssru …] [--wirings bahdanau luong]
           [--rounds 5] [--updates 3] [--threads 1] [--vocabulary 8000] [--embedding 256]
           [--hidden 512] [--length 15] [--sentences 32]

The model, its batches and its updates are those of benchmark_training.py; encoder and decoder have
the same cell. The wirings are bahdanau, whose cell waits for the attention of each word, and luong
without input feeding, in which all words are read at once.

All cells make the same updates in turn, in one process. The table has the median of the target
tokens per second, and the median of the ratio to the GRU of the same round.
"""

import argparse
import statistics
import sys
import time

from benchmarks.ways import Sizes, Update, draw_batches, model_of, updates

from nmt.core.batch import Batch
from nmt.nn.recurrent.table import CELLS
from nmt.system.process import set_up_for_training

FIRST = "gru"
"""The cell that the others are compared with."""
WIRINGS = {"bahdanau": {"name": "bahdanau"}, "luong": {"name": "luong", "input_feeding": False}}


def main(arguments: list[str] | None = None) -> int:
    """Run with these arguments (default: `sys.argv`) and return the exit code."""
    given = _parser().parse_args(arguments)
    set_up_for_training(given.threads)
    sizes = Sizes(given.vocabulary, given.embedding, given.hidden, given.length, given.sentences)
    batches = draw_batches(sizes, given.updates)
    cells = [FIRST, *(cell for cell in given.cells if cell != FIRST)]
    rates = {
        wiring: measure(cells, wiring, sizes, batches, given.rounds) for wiring in given.wirings
    }
    print("\n".join(table(rates)))
    return 0


def measure(
    cells: list[str], wiring: str, sizes: Sizes, batches: list[Batch], rounds: int
) -> dict[str, list[float]]:
    """Return target tokens per second of each cell, by round, after a warm-up."""
    ways = {cell: updates(model_of(sizes, cell, WIRINGS[wiring])) for cell in cells}
    rates: dict[str, list[float]] = {cell: [] for cell in cells}
    for number in range(rounds + 1):
        for cell, update in ways.items():
            rate = _rate(update, batches)
            if number > 0:
                rates[cell].append(rate)
    return rates


def table(rates: dict[str, dict[str, list[float]]]) -> list[str]:
    """Return a table with a row for each cell.

    Args:
        rates: tokens per second of each wiring and cell, by round; the first cell is the GRU.
    """
    columns = [f"{wiring}, tokens/s | against {FIRST}" for wiring in rates]
    lines = [f"| cell | {' | '.join(columns)} |", "|---" * (1 + 2 * len(rates)) + "|"]
    for cell in next(iter(rates.values())):
        entries = [cell]
        for found in rates.values():
            ratios = [rate / first for rate, first in zip(found[cell], found[FIRST], strict=True)]
            entries.append(f"{statistics.median(found[cell]):,.0f}")
            entries.append(f"{statistics.median(ratios):.2f}")
        lines.append(f"| {' | '.join(entries)} |")
    return lines


def _rate(update: Update, batches: list[Batch]) -> float:
    began = time.perf_counter()
    for batch in batches:
        update(batch)
    return sum(batch.num_target_tokens for batch in batches) / (time.perf_counter() - began)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sizes, wirings = Sizes(sentences=32), list(WIRINGS)
    add = parser.add_argument
    add("--cells", nargs="+", default=list(CELLS), choices=CELLS, metavar="CELL")
    add("--wirings", nargs="+", default=wirings, choices=wirings, metavar="WIRING")
    add("--rounds", type=int, default=5, metavar="N", help="default: 5")
    add("--updates", type=int, default=3, metavar="N", help="of a round, default: 3")
    add("--threads", type=int, default=1, metavar="N", help="default: 1")
    add("--vocabulary", type=int, default=sizes.vocabulary, metavar="V")
    add("--embedding", type=int, default=sizes.embedding, metavar="E")
    add("--hidden", type=int, default=sizes.hidden, metavar="H")
    add("--length", type=int, default=sizes.length, metavar="N", help="pieces, on average")
    add("--sentences", type=int, default=sizes.sentences, metavar="N", help="of a batch")
    return parser


if __name__ == "__main__":
    sys.exit(main())
