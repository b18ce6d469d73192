"""Peak memory of the loss and of a whole update with a large vocabulary: all logits, or chunks.

    python scripts/measure_training_memory.py [--vocabulary 32000] [--tokens 8000]

Uses the model of `benchmark_training.py`, with sentences of 15 pieces and EOS. It compares three
losses, each in float32 and in bfloat16: `cross_entropy` of torch, this package's loss of all logits
(`label_smoothed_cross_entropy`), and the projection with its loss in chunks
(`chunked_cross_entropy`). Training uses the last one. "The loss" starts with the decoder's vectors
and ends with the gradients of vectors and projection. "An update" is the first of a training, from
the batch to the new weights. Each is measured in its own process, as the peak of resident memory
minus the memory that was resident before, with weights and batch. Prints a Markdown table. For
Linux.
"""

import argparse
import resource
import subprocess
import sys
from pathlib import Path

# Torch is imported only in the measured processes: the peak of a process includes the peak of the
# process that started it.

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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vocabulary", type=int, default=32_000, metavar="V")
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--tokens", type=int, default=8_000, metavar="N", help="target, of a batch")
    parser.add_argument("--only", nargs=3, metavar="NAME", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.only is not None:
        print(peak(*given.only, given.vocabulary, given.tokens))
        return 0
    print("| precision | loss | MB, the loss | MB, an update |")
    print("|---|---|---|---|")
    for precision in given.precisions:
        megabytes = {
            (loss, what): in_process(loss, precision, what, given.vocabulary, given.tokens)
            for loss in LOSSES
            for what in WHAT
        }
        for loss in LOSSES:
            print(row(loss, precision, megabytes), flush=True)
    return 0


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


if __name__ == "__main__":
    sys.exit(main())
