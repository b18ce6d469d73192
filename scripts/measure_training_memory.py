"""Peak memory of training: losses with a large vocabulary, or decoder wirings and scores.

    python scripts/measure_training_memory.py [--vocabulary 32000] [--tokens 8000]
    python scripts/measure_training_memory.py --models [--wirings luong gnmt …]
           [--scores additive general …] [--precisions float32 bfloat16] [--cell gru]
           [--updates 3] [--vocabulary 8000] [--tokens 1024] [--length 15] [--limit 1500]

Uses the model of `benchmark_training.py`. Prints a Markdown table. For Linux.

Without --models, sentences have 15 pieces and EOS. The table compares three losses:
`cross_entropy` of torch, this package's loss of all logits (`label_smoothed_cross_entropy`), and
the projection with its loss in chunks (`chunked_cross_entropy`). Training uses the last one. "The
loss" starts with the decoder's vectors and ends with the gradients of vectors and projection. "An
update" is the first of a training, from the batch to the new weights. Each is measured in its own
process, as the peak of resident memory minus the memory that was resident before, with weights and
batch.

With --models, the table has a row for each attention score and a column for each decoder wiring.
gnmt has two layers, and luong-without-feeding is luong with `input_feeding: false`. Each peak is
that of a whole process, with Python and torch, that makes a few updates as `nmt train` does. The
batches have growing sentences, 15 pieces on average. Combinations that the configuration refuses
are listed. The exit code is 1 if a peak reaches the limit.
"""

import argparse
import resource
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.ways import Sizes

# For the losses, torch is imported only in the measured processes: what getrusage returns includes
# the peak of the process that started them.

LENGTH = 16
WHAT = ("loss", "update")
LOSSES = {
    "torch": "`cross_entropy` of all logits",
    "whole": "`label_smoothed_cross_entropy` of all logits",
    "chunks": "`chunked_cross_entropy`",
}
PRECISIONS = ("float32", "bfloat16")


def main(arguments: list[str] | None = None) -> int:
    """Run with these arguments (default: `sys.argv`) and return the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.models:
        return compare_models(given, parser)
    if given.only is not None:
        print(peak(*given.only, given.vocabulary or 32_000, given.tokens or 8_000))
        return 0
    compare_losses(given.precisions, given.vocabulary or 32_000, given.tokens or 8_000)
    return 0


def compare_losses(precisions: Sequence[str], vocabulary: int, tokens: int) -> None:
    """Print the table of the losses."""
    print("| precision | loss | MB, the loss | MB, an update |")
    print("|---|---|---|---|")
    for precision in precisions:
        megabytes = {
            (loss, what): in_process(loss, precision, what, vocabulary, tokens)
            for loss in LOSSES
            for what in WHAT
        }
        for loss in LOSSES:
            print(row(loss, precision, megabytes), flush=True)


def compare_models(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Print the table of wirings and scores; return 1 if a peak reaches the limit."""
    from benchmarks import model_memory
    from benchmarks.ways import Sizes, draw_batches

    num_sentences = (given.tokens or 1_024) // (given.length + 1)
    if num_sentences < 1 or given.updates < 1:
        parser.error("--tokens must be at least one sentence, and --updates at least 1")
    sizes = Sizes(given.vocabulary or 8_000, length=given.length, sentences=num_sentences)
    (cell,) = _chosen(parser, "--cell", [given.cell], model_memory.CELL_NAMES)
    if given.only is not None:
        print(model_memory.peak_of_updates(tuple(given.only), cell, sizes, given.updates))
        return 0
    wirings = _chosen(parser, "--wirings", given.wirings, model_memory.WIRINGS)
    scores = _chosen(parser, "--scores", given.scores, model_memory.SCORE_NAMES)
    tokens = [f"{batch.num_target_tokens:,}" for batch in draw_batches(sizes, given.updates)]
    print(f"Updates: {given.updates}, of {num_sentences} sentences each.  ")
    print(f"Target tokens: {', '.join(tokens)}.  ")
    print(f"MB, peak of the process: {' / '.join(given.precisions)}.\n", flush=True)
    print("\n".join(model_memory.header(wirings)), flush=True)
    results = model_memory.Results()
    for score in scores:
        for wiring in wirings:
            refused = model_memory.refusal(wiring, score, cell, sizes)
            if refused is not None:
                results.refusals.setdefault(refused, []).append(f"{wiring} with {score}")
                continue
            for precision in given.precisions:
                case = (wiring, score, precision)
                results.megabytes[case] = model_in_process(case, cell, sizes, given.updates)
        print(results.row(score, wirings, given.precisions), flush=True)
    print("", *results.summary(given.limit), sep="\n")
    return 1 if results.over(given.limit) else 0


def row(loss: str, precision: str, megabytes: dict[tuple[str, str], float]) -> str:
    """Return a line of the table: the peak, and how many times smaller than with all logits."""
    cells = []
    for what in WHAT:
        mine, whole = megabytes[loss, what], megabytes["whole", what]
        cells.append(
            f"{mine:,.0f} ({whole / mine:.1f}x less)" if loss == "chunks" else f"{mine:,.0f}"
        )
    return f"| {precision} | {LOSSES[loss]} | {' | '.join(cells)} |"


def in_process(loss: str, precision: str, what: str, vocabulary: int, tokens: int) -> float:
    """Measure the peak in a new process, in megabytes (10**6 bytes)."""
    command = [sys.executable, __file__, "--only", loss, precision, what]
    command += ["--vocabulary", str(vocabulary), "--tokens", str(tokens)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def model_in_process(
    case: tuple[str, str, str], cell: str, sizes: "Sizes", num_updates: int
) -> float:
    """Measure the peak of a new process that makes updates, in megabytes (10**6 bytes)."""
    tokens = sizes.sentences * (sizes.length + 1)
    command = [sys.executable, __file__, "--models", "--only", *case, "--cell", cell]
    command += ["--vocabulary", str(sizes.vocabulary), "--tokens", str(tokens)]
    command += ["--length", str(sizes.length), "--updates", str(num_updates)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def peak(loss: str, precision: str, what: str, vocabulary: int, tokens: int) -> float:
    """Return the peak of this process minus its memory before, in megabytes."""
    import torch
    from benchmarks.losses import prepare_loss, prepare_update

    from nmt.system.process import set_up_for_training

    set_up_for_training(num_threads=None)
    prepare = prepare_loss if what == "loss" else prepare_update
    run = prepare(loss, getattr(torch, precision), vocabulary, tokens // LENGTH, LENGTH)
    before = resident_megabytes()
    run()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6 - before


def resident_megabytes() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def _chosen(
    parser: argparse.ArgumentParser, option: str, given: list[str] | None, known: Iterable[str]
) -> list[str]:
    """Return the given names, or all known ones; end with an error for an unknown name."""
    names = list(known)
    if unknown := [name for name in given or [] if name not in names]:
        parser.error(f"{option}: unknown name {unknown[0]!r}; choose from {', '.join(names)}")
    return given or names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--vocabulary", type=int, metavar="V", help="default: 32000; 8000 with --models")
    add("--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    add("--tokens", type=int, metavar="N", help="target, of a batch: 8000; 1024 with --models")
    add("--only", nargs=3, metavar="NAME", help=argparse.SUPPRESS)
    models = parser.add_argument_group("wirings and scores")
    add = models.add_argument
    add("--models", action="store_true", help="compare decoder wirings and attention scores")
    add("--wirings", nargs="+", metavar="WIRING", help="default: all")
    add("--scores", nargs="+", metavar="SCORE", help="default: all; none: without attention")
    add("--cell", default="gru", metavar="CELL", help="of both sides; default: gru")
    add("--updates", type=int, default=3, metavar="N", help="default: 3")
    add("--length", type=int, default=15, metavar="N", help="pieces, on average; default: 15")
    add("--limit", type=float, default=1_500, metavar="MB", help="of a process; default: 1500")
    return parser


if __name__ == "__main__":
    sys.exit(main())
